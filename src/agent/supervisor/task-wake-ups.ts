/** What happened to a task; `gone` when somebody else has ended or deleted it. */
export type TaskChange = 'written' | 'gone';

type Listener = (change: TaskChange) => void;

/** Tells those who follow a task in this process that there may be something new to read. */
export class TaskWakeUps {
  readonly #listeners = new Map<string, Set<Listener>>();

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

  notify(taskId: string, change: TaskChange = 'written'): void {
    this.#listeners.get(taskId)?.forEach((listener) => listener(change));
  }

  notifyAll(): void {
    for (const taskId of this.#listeners.keys()) {
      this.notify(taskId);
    }
  }
}
