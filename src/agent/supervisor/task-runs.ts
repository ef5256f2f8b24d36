import { setMaxListeners } from 'node:events';
import { Logger } from '@nestjs/common';
import type { Clock } from '../../task/clock.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { TaskStorageError } from '../../task/errors.js';
import { AgentError } from '../agent-errors.js';
import type { AgentSettings } from '../agent-options.js';
import type { AgentRunner } from '../agent-runner.js';
import type { RunLimits } from '../limits/agent-limits.js';
import { endsWithin } from './alarm.js';
import type { LeaseKeeper, LeaseSpan } from './lease-keeper.js';
import { interrupted } from './task-ending.js';
import type { TaskJob } from './task-job.js';
import { TaskRun } from './task-run.js';

/**
 * How long the end of the service waits for runners that were told to stop, and for their ends to
 * be recorded. A program that `CommandAgentRunner` runs gets 5 seconds to end by itself.
 */
const STOP_LIMIT_MS = 8_000;

/** What {@link TaskRuns} works with. */
export interface TaskRunsContext {
  readonly storage: TaskStorage;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly settings: RunLimits & Pick<AgentSettings, 'maxTasksPerReplica'>;
}

/** Room for runs that are about to be added. */
export interface Reservation {
  readonly count: number;
  release(): void;
}

/** The runs of this process. They end with it: what must survive is in the storage. */
export class TaskRuns {
  readonly #logger = new Logger(TaskRuns.name);
  /** Those whose end is not recorded yet. */
  readonly #runs = new Map<string, TaskRun>();
  /** The newest run of each task that may still be working, ended or not. */
  readonly #unsettled = new Map<string, Promise<void>>();
  /** Runs, and what is about to become one. */
  readonly #work = new Set<Promise<unknown>>();
  readonly #giveUp = new AbortController();
  readonly #started = new WeakSet<TaskRun>();
  #reserved = 0;
  /** Those who wait for what becomes of the reserved room. */
  #waiting: (() => void)[] = [];
  #onRoom: () => void = () => undefined;

  constructor(private readonly context: TaskRunsContext) {
    // In an outage every task waits for it.
    setMaxListeners(0, this.#giveUp.signal);
    context.storage.changes.listen(({ kind, taskId }) => {
      if (kind === 'ended') {
        this.lookAt(taskId);
      } else if (kind === 'missed') {
        this.#runs.forEach((_, runId) => this.lookAt(runId));
      }
    });
  }

  /** Aborted when the process cannot wait for the storage any longer. */
  get giveUp(): AbortSignal {
    return this.#giveUp.signal;
  }

  get(taskId: string): TaskRun | undefined {
    return this.#runs.get(taskId);
  }

  /** @param onRoom called when this process may run one more task */
  onRoom(onRoom: () => void): void {
    this.#onRoom = onRoom;
  }

  /**
   * Stops the run of a task that somebody else has ended, deleted or taken over. A run whose task is
   * still being created is left alone: what ended was an earlier task of the same id.
   */
  lookAt(taskId: string): void {
    const run = this.#runs.get(taskId);
    if (run !== undefined && this.#started.has(run)) {
      void run.lookAgain();
    }
  }

  /**
   * Stops the run of a task that was deleted and is to be created anew, whose lease would look the
   * same.
   *
   * @throws {TaskStorageError} `UNAVAILABLE` when its runner does not stop
   */
  async makeWay(taskId: string): Promise<void> {
    const before = this.#unsettled.get(taskId);
    this.#runs.get(taskId)?.stop('gone');
    if (before !== undefined && !(await endsWithin(this.context.clock, STOP_LIMIT_MS, before))) {
      throw new TaskStorageError(
        'UNAVAILABLE',
        `An earlier task ${taskId} was deleted, but its runner has not stopped yet; try again`,
      );
    }
  }

  /** Sets room aside, as much as there is. */
  reserve(most: number): Reservation {
    const count = Math.max(0, Math.min(most, this.#room()));
    if (count === 0 && this.#reserved > 0) {
      this.#waiting.push(() => this.#onRoom());
    }
    this.#reserved += count;
    return {
      count,
      release: () => {
        // Who had no room gives none back, and would otherwise wake himself again and again.
        if (count > 0) {
          this.#reserved -= count;
          this.#waiting.splice(0).forEach((wake) => wake());
        }
      },
    };
  }

  /** Resolves when there is room, or none that is only reserved and may become free at once. */
  async roomDecided(): Promise<void> {
    while (this.#room() <= 0 && this.#reserved > 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** @throws {AgentError} `REPLICA_FULL` */
  addIfRoom(job: TaskJob, runner: AgentRunner): TaskRun {
    if (this.#room() <= 0) {
      throw new AgentError(
        'REPLICA_FULL',
        `This replica has reached its limit of ${this.context.settings.maxTasksPerReplica} tasks (TASK_MAX_TASKS_PER_REPLICA); try again when one has ended, or another replica`,
      );
    }
    return this.add(job, runner);
  }

  /** Adds a run that is not started yet: whoever stops the service meanwhile ends its task too. */
  add(job: TaskJob, runner: AgentRunner): TaskRun {
    const { storage, clock, keeper, settings: limits } = this.context;
    const giveUp = this.#giveUp.signal;
    const context = { storage, clock, leaseOwner: keeper.owner, giveUp, limits };
    const run = new TaskRun(job, runner, context);
    this.#runs.set(job.taskId, run);
    return run;
  }

  /** Takes back a run whose task was not created. */
  discard(run: TaskRun): void {
    run.abandon();
    this.#remove(run);
  }

  #remove(run: TaskRun): void {
    if (this.#runs.get(run.job.taskId) === run) {
      this.#runs.delete(run.job.taskId);
    }
    this.#onRoom();
  }

  /** @param span begun before the lease of the task was asked for */
  start(run: TaskRun, span: LeaseSpan): void {
    const { taskId } = run.job;
    this.#started.add(run);
    const before = this.#unsettled.get(taskId);
    const work = this.#run(run, span, before);
    this.#unsettled.set(taskId, work);
    this.track(
      work.finally(() => {
        if (this.#unsettled.get(taskId) === work) {
          this.#unsettled.delete(taskId);
        }
      }),
    );
  }

  /** Makes the end of the service wait for the work, whether it succeeds or fails. */
  track(work: Promise<unknown>): void {
    const settled = work.catch(() => undefined);
    this.#work.add(settled);
    void settled.then(() => this.#work.delete(settled));
  }

  /**
   * Lets tasks end by themselves for a while, and then stops the rest.
   *
   * @returns whether every runner has stopped
   */
  async stop(graceMs: number): Promise<boolean> {
    const { clock } = this.context;
    let isSettled = await endsWithin(clock, graceMs, this.#allWork());
    if (!isSettled) {
      this.#logger.warn(`Interrupting ${this.#runs.size} tasks that have not ended in time`);
      this.#runs.forEach((run) => run.stop(run.mayBeResumed ? 'left' : interrupted()));
      isSettled = await endsWithin(clock, STOP_LIMIT_MS, this.#allWork());
      if (!isSettled) {
        this.#logger.error('Some runners did not stop, or the ends of their tasks were not stored');
      }
    }
    this.#giveUp.abort();
    return isSettled;
  }

  #room(): number {
    return this.context.settings.maxTasksPerReplica - this.#runs.size - this.#reserved;
  }

  async #run(run: TaskRun, span: LeaseSpan, before: Promise<void> | undefined): Promise<void> {
    const { taskId, attempt } = run.job;
    const hold = this.context.keeper.hold(taskId, attempt, span, (reason) => run.stop(reason));
    if (before !== undefined && !(await this.#hasSettled(before, run))) {
      run.stop('left');
    }
    await run.run(() => hold.isSafe());
    hold.release();
    this.#remove(run);
    await run.runnerSettled;
  }

  /** Waits for an earlier attempt of this very process, whose runner may not have stopped yet. */
  async #hasSettled(before: Promise<void>, run: TaskRun): Promise<boolean> {
    const { clock, keeper } = this.context;
    return endsWithin(clock, keeper.leaseMs, Promise.race([before, run.decided]));
  }

  async #allWork(): Promise<void> {
    while (this.#work.size > 0) {
      await Promise.all(this.#work);
    }
  }
}
