import type { TaskChange, TaskChanges } from '../../src/task/task-change.js';
import type { TaskStorage } from '../../src/task/task-storage.js';

/** Hints that a test gives or holds back. */
export class ManualChanges implements TaskChanges {
  readonly #listeners = new Set<(change: TaskChange) => void>();
  /** Whether what the storage tells is held back. */
  isSilent = false;

  constructor(public isLive = false) {}

  listen(listener: (change: TaskChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(kind: TaskChange['kind'], taskId = ''): void {
    this.#listeners.forEach((listener) => listener({ kind, taskId }));
  }

  /** Gives the hints of a storage too, unless they are held back. */
  forward(changes: TaskChanges): void {
    this.isLive = true;
    changes.listen(({ kind, taskId }) => {
      if (!this.isSilent) {
        this.tell(kind, taskId);
      }
    });
  }

  /** From now on as if the line were broken on which the hints come. */
  silence(): void {
    this.isSilent = true;
    this.isLive = false;
  }
}

/** A storage whose hints are in the hands of a test. */
export function withChanges(inner: TaskStorage, changes: ManualChanges): TaskStorage {
  changes.forward(inner.changes);
  return new Proxy(inner, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (key === 'changes') {
        return changes;
      }
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
