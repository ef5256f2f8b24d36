import type { Clock } from '../../task/clock.js';
import { IllegalTransitionError, TaskConflictError } from '../../task/errors.js';
import type { NewTaskEvent } from '../../task/task-event.js';
import { isTerminal } from '../../task/task-lifecycle.js';
import type { TaskStorage } from '../../task/task-storage.js';
import type { TaskStatus } from '../../task/task.js';
import { retryWhileUnavailable } from './storage-retry.js';
import type { TaskEnding } from './task-ending.js';
import { describeState } from '../task-messages.js';
import type { TaskProgress } from './task-progress.js';
import type { TaskWakeUps } from './task-wake-ups.js';

/** What a {@link TaskRecord} writes with. */
export interface TaskRecordContext {
  readonly storage: TaskStorage;
  readonly clock: Clock;
  readonly wakeUps: TaskWakeUps;
  /** Marks the tasks that this process runs. */
  readonly leaseOwner: string;
  /** Aborted when the process cannot wait for the storage any longer. */
  readonly giveUp: AbortSignal;
}

/** The last event of a task. Its stage is the status, a word that clients of the original know. */
export function terminalEvent(
  ending: Pick<TaskEnding, 'status' | 'finalState' | 'error'>,
): NewTaskEvent {
  return { stage: ending.status, message: describeState(ending) };
}

/**
 * What is stored of a task that this process runs. Each write is repeated while the storage is
 * unavailable, and answers `false` when the task is no longer this process's to write: somebody
 * else has ended or deleted it.
 */
export class TaskRecord {
  /** As `createTask` leaves it. */
  #version = 1;
  /** The event that the task was created with. */
  #lastSequence = 1;
  #lastWrittenMs = -Infinity;

  constructor(
    private readonly taskId: string,
    private readonly context: TaskRecordContext,
  ) {}

  /** When a write last found the task active, in milliseconds of the clock. */
  get lastWrittenMs(): number {
    return this.#lastWrittenMs;
  }

  /** Reads the task, and tells its followers at once when it has ended or is deleted. */
  async isActive(): Promise<boolean> {
    const { storage, wakeUps } = this.context;
    const task = await storage.getTask(this.taskId);
    const active = task !== null && !isTerminal(task.status);
    if (!active) {
      wakeUps.notify(this.taskId, 'gone');
    }
    return active;
  }

  async start(): Promise<boolean> {
    const { storage, leaseOwner } = this.context;
    const written = await this.#write('running', async () =>
      storage.updateTask(this.taskId, { status: 'running', leaseOwner }),
    );
    this.#version += 1;
    return written;
  }

  /** Adds events, progress, or both in one step. */
  async append(events: readonly NewTaskEvent[], progress: TaskProgress | null): Promise<boolean> {
    return this.#write(null, async (failedTries) => {
      if (failedTries > 0 && (await this.#hasWritten(events))) {
        return this.#appended(events.length);
      }
      if (progress === null) {
        const last = await this.context.storage.appendEvents(this.taskId, events);
        return last !== null && this.#appended(events.length);
      }
      return (await this.#updateProgress(events, progress)) && this.#appended(events.length);
    });
  }

  /** Ends the task: the last write. */
  async end(ending: TaskEnding, events: readonly NewTaskEvent[]): Promise<boolean> {
    const { status, finalState, result, error, progress } = ending;
    return this.#write(status, async () =>
      this.context.storage.updateTask(
        this.taskId,
        { ...progress, status, finalState, result, error },
        { events: [...events, terminalEvent(ending)] },
      ),
    );
  }

  /**
   * Progress alone may be written to an ended task; only the version tells that it has ended.
   *
   * @returns `false` when the task is gone or has ended
   */
  async #updateProgress(events: readonly NewTaskEvent[], progress: TaskProgress): Promise<boolean> {
    for (;;) {
      try {
        const expectedVersion = this.#version;
        const written = await this.context.storage.updateTask(this.taskId, progress, {
          expectedVersion,
          events,
        });
        this.#version += 1;
        return written;
      } catch (error) {
        if (!(error instanceof TaskConflictError)) {
          throw error;
        }
      }
      const task = await this.context.storage.getTask(this.taskId);
      if (task === null || isTerminal(task.status)) {
        return false;
      }
      this.#version = task.version;
    }
  }

  #appended(count: number): true {
    this.#lastSequence += count;
    return true;
  }

  /** Whether a try that seemed to fail has added the events: only its answer was lost then. */
  async #hasWritten(events: readonly NewTaskEvent[]): Promise<boolean> {
    const [first] = events;
    if (first === undefined) {
      return false;
    }
    const [written] = await this.context.storage.listEvents(this.taskId, {
      afterSequence: this.#lastSequence,
      limit: 1,
    });
    return written?.stage === first.stage && written.message === first.message;
  }

  /** @param next the status that the write sets, or `null` when it sets none */
  async #write(
    next: TaskStatus | null,
    write: (failedTries: number) => Promise<boolean>,
  ): Promise<boolean> {
    const { clock, giveUp, wakeUps } = this.context;
    const written = await retryWhileUnavailable(
      async (failedTries) => {
        try {
          return await write(failedTries);
        } catch (error) {
          if (!(error instanceof IllegalTransitionError)) {
            throw error;
          }
          // After a failed try the status may be there because that try was written after all.
          return failedTries > 0 && error.from === next;
        }
      },
      { clock, signal: giveUp },
    );
    if (written) {
      this.#lastWrittenMs = clock.now().getTime();
    }
    wakeUps.notify(this.taskId, written ? 'written' : 'gone');
    return written;
  }
}
