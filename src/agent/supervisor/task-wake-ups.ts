import type { TaskChange, TaskChanges } from '../../task/task-change.js';

type Listener = (kind: TaskChange['kind']) => void;

/** Hands the storage's hints to those who wait for one task, however many follow how many. */
export class TaskWakeUps {
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(private readonly changes: TaskChanges) {
    changes.listen(({ kind, taskId }) => {
      if (kind === 'missed') {
        this.#listeners.forEach((listeners) => listeners.forEach((listener) => listener(kind)));
      } else {
        this.#listeners.get(taskId)?.forEach((listener) => listener(kind));
      }
    });
  }

  /** Whether what other processes write is heard of at present. */
  get isLive(): boolean {
    return this.changes.isLive;
  }

  /** @returns ends the listening */
  listen(taskId: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(taskId) ?? new Set();
    this.#listeners.set(taskId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) {
        this.#listeners.delete(taskId);
      }
    };
  }
}
