import type { TaskChange, TaskChanges } from '../../task/task-change.js';

/** One call of `listen`; an object of its own, so that a function may listen twice. */
interface Listening {
  readonly listener: (change: TaskChange) => void;
}

/** The hints of one memory, which no other process can change. */
export class MemoryChanges implements TaskChanges {
  readonly #listenings = new Set<Listening>();
  #untold: TaskChange[] = [];
  #isOpen = true;

  get isLive(): boolean {
    return this.#isOpen;
  }

  listen(listener: (change: TaskChange) => void): () => void {
    const listening = { listener };
    if (this.#isOpen) {
      this.#listenings.add(listening);
    }
    return () => {
      this.#listenings.delete(listening);
    };
  }

  /** Tells the listeners when the operation that is at work has answered to its caller. */
  tell(kind: TaskChange['kind'], taskId: string): void {
    if (this.#listenings.size === 0) {
      return;
    }
    this.#untold.push({ kind, taskId });
    if (this.#untold.length === 1) {
      queueMicrotask(() => this.#tellAll());
    }
  }

  close(): void {
    this.#isOpen = false;
    this.#listenings.clear();
    this.#untold = [];
  }

  #tellAll(): void {
    const changes = this.#untold;
    this.#untold = [];
    for (const change of changes) {
      // A copy, because a listener may start another listening, which would be told without end.
      for (const listening of Array.from(this.#listenings)) {
        if (this.#listenings.has(listening)) {
          tellOne(listening, change);
        }
      }
    }
  }
}

function tellOne({ listener }: Listening, change: TaskChange): void {
  try {
    listener({ ...change });
  } catch {
    // A hint is no promise: the mistake of one listener must harm neither the others nor the process.
  }
}
