import { Logger } from '@nestjs/common';
import { OutcomeUnknownError } from '../../task/errors.js';
import { describeError } from '../describe-error.js';
import { endsWithin } from './alarm.js';
import { retryWhileUnavailable } from './storage-retry.js';
import type { TaskRuns, TaskRunsContext } from './task-runs.js';

/** How long a repeated submission waits to hear what became of the one before. */
const DOUBT_LIMIT_MS = 5_000;

/** What {@link UnconfirmedCreations} work with. */
export interface UnconfirmedCreationsContext extends Pick<
  TaskRunsContext,
  'storage' | 'clock' | 'keeper'
> {
  readonly runs: Pick<TaskRuns, 'giveUp' | 'track'>;
}

/** Tasks whose creation the storage did not confirm, and may have made all the same. */
export class UnconfirmedCreations {
  readonly #logger = new Logger(UnconfirmedCreations.name);
  /** What finds out whether the task was created. */
  readonly #doubts = new Map<string, Promise<void>>();

  constructor(private readonly context: UnconfirmedCreationsContext) {}

  /**
   * Waits until it is known what became of a creation.
   *
   * @returns `false` when there is no doubt about the task
   * @throws {OutcomeUnknownError} when the storage does not say it in time
   */
  async settled(taskId: string): Promise<boolean> {
    const doubt = this.#doubts.get(taskId);
    if (doubt === undefined) {
      return false;
    }
    if (!(await endsWithin(this.context.clock, DOUBT_LIMIT_MS, doubt))) {
      throw new OutcomeUnknownError(
        `Whether an earlier submission has created task ${taskId} is not known yet; try again`,
      );
    }
    return true;
  }

  /** Finds out whether a task that its submitter can ask for again was created, and calls back. */
  find(taskId: string, whenKnown: (isCreated: boolean) => void): void {
    const doubt = this.#find(taskId, whenKnown);
    this.#doubts.set(taskId, doubt);
    this.context.runs.track(doubt);
  }

  /** Removes a task whose id nobody knows: nothing will run it, but it would count as active. */
  async remove(taskId: string): Promise<void> {
    const { storage } = this.context;
    try {
      await this.#untilAnswered(async () => storage.deleteTask(taskId));
    } catch (error) {
      this.#logger.warn(`Task ${taskId} may be left as pending: ${describeError(error)}`);
    }
  }

  async #find(taskId: string, whenKnown: (isCreated: boolean) => void): Promise<void> {
    const isCreated = await this.#isCreatedHere(taskId);
    this.#doubts.delete(taskId);
    whenKnown(isCreated);
  }

  async #isCreatedHere(taskId: string): Promise<boolean> {
    const { storage, keeper } = this.context;
    try {
      const task = await this.#untilAnswered(async () =>
        storage.getTask(taskId, { view: 'summary' }),
      );
      return task?.leaseOwner === keeper.owner && task.status === 'pending';
    } catch (error) {
      this.#logger.warn(`Task ${taskId} may wait for its lease to end: ${describeError(error)}`);
      return false;
    }
  }

  async #untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
    const { clock, runs } = this.context;
    return retryWhileUnavailable(ask, { clock, signal: runs.giveUp });
  }
}
