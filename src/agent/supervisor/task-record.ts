import type { Clock } from '../../task/clock.js';
import { IllegalTransitionError, LeaseLostError, TaskConflictError } from '../../task/errors.js';
import type { NewTaskEvent } from '../../task/task-event.js';
import type { HeldLease } from '../../task/task-lease.js';
import type { TaskStorage } from '../../task/task-storage.js';
import type { TaskStatus } from '../../task/task.js';
import { describeState } from '../task-messages.js';
import { retryWhileUnavailable } from './storage-retry.js';
import type { TaskEnding } from './task-ending.js';
import type { TaskProgress } from './task-progress.js';

/** What a {@link TaskRecord} writes with. */
export interface TaskRecordContext {
  readonly storage: TaskStorage;
  readonly clock: Clock;
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
 * What is stored of a task whose lease this process holds. Each write is repeated while the storage
 * is unavailable, and answers `false` when the task is no longer this process's to write: somebody
 * else has ended or deleted it, or has taken the lease over.
 */
export class TaskRecord {
  /** @param lastSequence the sequence of the task's newest event when the lease was taken */
  constructor(
    private readonly taskId: string,
    private readonly lease: HeldLease,
    private lastSequence: number,
    private readonly context: TaskRecordContext,
  ) {}

  /** Reads whether the task is still this process's to run. */
  async isHeld(): Promise<boolean> {
    const task = await this.context.storage.getTask(this.taskId, { view: 'summary' });
    return task?.leaseOwner === this.lease.owner && task.attempt === this.lease.attempt;
  }

  /** The first write of a task that nobody has started. */
  async start(): Promise<boolean> {
    const { lease } = this;
    return this.#write('running', async () =>
      this.context.storage.updateTask(this.taskId, { status: 'running' }, { lease }),
    );
  }

  /** Adds events, progress, or both in one step. */
  async append(events: readonly NewTaskEvent[], progress: TaskProgress | null): Promise<boolean> {
    const written = await this.#write(null, async (failedTries) => {
      for (;;) {
        try {
          return await this.#append(events, progress);
        } catch (error) {
          if (!(error instanceof TaskConflictError)) {
            throw error;
          }
          if (failedTries > 0 && (await this.#hasWritten(events))) {
            return true;
          }
          // The application itself has added to the log.
          this.lastSequence = error.actualVersion;
        }
      }
    });
    this.lastSequence += events.length;
    return written;
  }

  async #append(events: readonly NewTaskEvent[], progress: TaskProgress | null): Promise<boolean> {
    const { lease, taskId, lastSequence: expectedSequence } = this;
    const { storage } = this.context;
    return progress === null
      ? (await storage.appendEvents(taskId, events, { lease, expectedSequence })) !== null
      : storage.updateTask(taskId, progress, { lease, expectedSequence, events });
  }

  /** Ends the task: the last write. */
  async end(ending: TaskEnding, events: readonly NewTaskEvent[]): Promise<boolean> {
    const { status, finalState, result, error, progress } = ending;
    const { lease } = this;
    return this.#write(status, async () =>
      this.context.storage.updateTask(
        this.taskId,
        { ...progress, status, finalState, result, error },
        { lease, events: [...events, terminalEvent(ending)] },
      ),
    );
  }

  /** Whether a try that seemed to fail has added the events: only its answer was lost then. */
  async #hasWritten(events: readonly NewTaskEvent[]): Promise<boolean> {
    const [first] = events;
    if (first === undefined) {
      return false;
    }
    const [written] = await this.context.storage.listEvents(this.taskId, {
      afterSequence: this.lastSequence,
      limit: 1,
    });
    return written?.stage === first.stage && written.message === first.message;
  }

  /** @param next the status that the write sets, or `null` when it sets none */
  async #write(
    next: TaskStatus | null,
    write: (failedTries: number) => Promise<boolean>,
  ): Promise<boolean> {
    const { clock, giveUp } = this.context;
    return retryWhileUnavailable(
      async (failedTries) => {
        try {
          return await write(failedTries);
        } catch (error) {
          if (error instanceof LeaseLostError) {
            return false;
          }
          if (!(error instanceof IllegalTransitionError)) {
            throw error;
          }
          // After a failed try the status may be there because that try was written after all.
          return failedTries > 0 && error.from === next;
        }
      },
      { clock, signal: giveUp },
    );
  }
}
