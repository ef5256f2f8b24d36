import type { Clock } from '../../task/clock.js';
import type { TaskEvent } from '../../task/task-event.js';
import { isTerminal, type TerminalStatus } from '../../task/task-lifecycle.js';
import type { TaskOperations } from '../../task/task-storage.js';
import type { TaskSummary } from '../../task/task.js';
import { ServiceStoppingError, TaskNotFoundError } from '../agent-errors.js';
import { describeState } from '../task-messages.js';
import { Alarm } from './alarm.js';
import { pollIntervalMs } from './poll-interval.js';
import { isUnavailable, retryWhileUnavailable } from './storage-retry.js';
import type { TaskWakeUps } from './task-wake-ups.js';

/** How many events a follower holds at the most. */
const MAX_PAGE_EVENTS = 20;

/** About how much text a follower holds; a single event may be larger. */
const MAX_PAGE_CHARACTERS = 1_000_000;

/**
 * After so long in vain the task itself is read too: it may have been deleted, or ended by the
 * original service, which writes no events.
 */
const TASK_READ_MS = 5_000;

/** For how long a follower bears a storage that does not answer. */
const UNAVAILABLE_LIMIT_MS = 30_000;

/** Follows tasks. The event log in the storage is the only truth: followers hold nothing else. */
export class TaskFollower {
  readonly #stopping = new AbortController();
  /** End the reading of each follower. */
  readonly #endings = new Set<() => void>();

  constructor(
    private readonly clock: Clock,
    private readonly wakeUps: TaskWakeUps,
  ) {}

  /** Ends every following that has caught up, or waits for a storage that does not answer. */
  stop(): void {
    this.#stopping.abort();
    this.#endings.forEach((end) => end());
  }

  /**
   * The events of a task after a sequence, past ones first, then live, until the one that ends it.
   * An ended task without such an event gets one made up from what is stored of it.
   *
   * @param tasks among which the task is looked for
   * @param signal ends the following, without an error
   * @throws {TaskNotFoundError} when the task does not exist, or is deleted meanwhile
   * @throws {ServiceStoppingError} when the service stops before the task has ended
   * @throws {TaskStorageError} `UNAVAILABLE` when the storage has not answered for half a minute
   */
  async *follow(
    tasks: TaskOperations,
    taskId: string,
    afterSequence: number,
    signal: AbortSignal,
  ): AsyncGenerator<TaskEvent, void, undefined> {
    const alarm = new Alarm(this.clock);
    // Of its own, because a signal that outlives its followers would remember each of their reads.
    const over = new AbortController();
    const end = () => {
      over.abort();
      alarm.ring();
    };
    let taskReadDue = true;
    const stopListening = this.wakeUps.listen(taskId, (kind) => {
      taskReadDue ||= kind !== 'written';
      alarm.ring();
    });
    this.#endings.add(end);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted || this.#stopping.signal.aborted) {
      over.abort();
    }
    try {
      let seen = afterSequence;
      let limit = MAX_PAGE_EVENTS;
      let waitedMs = 0;
      while (!signal.aborted) {
        const events = await this.#read(over.signal, async () =>
          tasks.listEvents(taskId, { afterSequence: seen, limit }),
        );
        const isFull = events.length === limit;
        limit = nextLimit(events);
        for (const event of events) {
          yield event;
          if (event.status !== null && isTerminal(event.status)) {
            return;
          }
          seen = event.sequence;
        }
        if (isFull) {
          continue;
        }
        if (events.length === 0 && taskReadDue) {
          taskReadDue = false;
          waitedMs = 0;
          const task = await this.#read(over.signal, async () =>
            tasks.getTask(taskId, { view: 'summary' }),
          );
          if (task === null) {
            throw new TaskNotFoundError(taskId);
          }
          if (task.lastEventSequence > seen) {
            continue;
          }
          if (isTerminal(task.status)) {
            yield* this.#missingEnd(tasks, task, task.status, seen, over.signal);
            return;
          }
        }
        if (this.#stopping.signal.aborted) {
          throw new ServiceStoppingError();
        }
        const pollMs = pollIntervalMs(this.wakeUps);
        waitedMs += (await alarm.wait(pollMs)) ? 0 : pollMs;
        taskReadDue ||= waitedMs >= TASK_READ_MS;
      }
    } finally {
      stopListening();
      this.#endings.delete(end);
      signal.removeEventListener('abort', end);
    }
  }

  /** The end of an ended task, unless the follower has seen it before. */
  async *#missingEnd(
    tasks: TaskOperations,
    task: TaskSummary,
    status: TerminalStatus,
    seen: number,
    signal: AbortSignal,
  ): AsyncGenerator<TaskEvent, void, undefined> {
    const { taskId, lastEventSequence, finishedAt, updatedAt } = task;
    if (seen > lastEventSequence) {
      return;
    }
    if (lastEventSequence > 0) {
      const [last] = await this.#read(signal, async () =>
        tasks.listEvents(taskId, { afterSequence: lastEventSequence - 1, limit: 1 }),
      );
      if (last !== undefined && last.status !== null && isTerminal(last.status)) {
        return;
      }
    }
    yield {
      taskId,
      sequence: lastEventSequence + 1,
      stage: status,
      message: describeState(task),
      status,
      createdAt: finishedAt ?? updatedAt,
    };
  }

  async #read<T>(signal: AbortSignal, read: () => Promise<T>): Promise<T> {
    try {
      return await retryWhileUnavailable(read, {
        clock: this.clock,
        signal,
        forMs: UNAVAILABLE_LIMIT_MS,
      });
    } catch (error) {
      throw isUnavailable(error) && this.#stopping.signal.aborted
        ? new ServiceStoppingError()
        : error;
    }
  }
}

/** The next events are likely to be as large as these. */
function nextLimit(events: readonly TaskEvent[]): number {
  const characters = events.reduce(
    (sum, { stage, message }) => sum + stage.length + message.length,
    0,
  );
  const fitting = Math.floor((MAX_PAGE_CHARACTERS * events.length) / Math.max(characters, 1));
  return events.length === 0 ? MAX_PAGE_EVENTS : Math.min(Math.max(fitting, 1), MAX_PAGE_EVENTS);
}
