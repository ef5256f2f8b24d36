import { randomBytes } from 'node:crypto';
import {
  PageTokenCodec,
  TaskStorageError,
  type Clock,
  type NewTaskEvent,
  type Setting,
  type Task,
  type TaskChange,
  type TaskChanges,
  type TaskEvent,
  type TaskStatus,
} from '../../src/index.js';

/** Hints of this process alone, which is all there is: no other can change a map of this one. */
export class MapChanges implements TaskChanges {
  readonly isLive = true;
  /** Each call of `listen` by a key of its own, so that a function may listen twice. */
  readonly listeners = new Map<symbol, (change: TaskChange) => void>();

  listen(listener: (change: TaskChange) => void): () => void {
    const key = Symbol('listening');
    this.listeners.set(key, listener);
    return () => this.listeners.delete(key);
  }

  /** Tells what was written, after the operation; a mistake of a listener is its own. */
  tell(kind: TaskChange['kind'], taskId: string): void {
    for (const key of this.listeners.keys()) {
      setImmediate(() => {
        try {
          this.listeners.get(key)?.({ kind, taskId });
        } catch {
          // A hint is no promise.
        }
      });
    }
  }
}

/** What the views share. A real backend holds its connection here. */
export class Data {
  readonly tasks = new Map<string, Task>();
  readonly events = new Map<string, TaskEvent[]>();
  readonly settings = new Map<string, Setting>();
  readonly exclusiveWork = new Set<string>();
  readonly pageTokens = new PageTokenCodec(randomBytes(32));
  readonly changes = new MapChanges();
  isClosed = false;

  constructor(readonly clock: Clock) {}

  open(): this {
    if (this.isClosed) {
      throw new TaskStorageError('UNAVAILABLE', 'The storage is closed');
    }
    return this;
  }

  /** @param now the time of the whole write */
  addEvents(task: Task, events: NewTaskEvent[], status: TaskStatus | null, now: Date): number {
    const log = this.events.get(task.taskId) ?? [];
    events.forEach((event, index) => {
      log.push({
        ...event,
        taskId: task.taskId,
        sequence: log.length + 1,
        status: index === events.length - 1 ? status : null,
        createdAt: now,
      });
    });
    this.events.set(task.taskId, log);
    return log.length;
  }

  delete(taskId: string): boolean {
    this.events.delete(taskId);
    this.changes.tell('ended', taskId);
    return this.tasks.delete(taskId);
  }
}
