import { Logger } from '@nestjs/common';
import { TaskStorageError } from '../../task/errors.js';
import type { ClaimedTask } from '../../task/task-lease.js';
import { waitsInQueue } from '../../task/task-lifecycle.js';
import type { Task } from '../../task/task.js';
import { MAX_INTEGER } from '../../task/value-parsers.js';
import type { AgentRunner } from '../agent-runner.js';
import { describeError } from '../describe-error.js';
import { Alarm } from './alarm.js';
import type { LeaseSpan } from './lease-keeper.js';
import { replicaOf } from './lease-owner.js';
import { pollIntervalMs } from './poll-interval.js';
import { isUnavailable } from './storage-retry.js';
import { failed, lost, stale, type TaskEnding } from './task-ending.js';
import { restoreJob } from './task-job.js';
import { TaskRecord } from './task-record.js';
import type { TaskSupervisorContext } from './task-supervisor.js';

/** Leases that have ended are looked for so often within the time of one. */
const SEARCHES_PER_LEASE = 3;

/** How many tasks are claimed at once at the most. */
const MAX_CLAIM = 100;

/** How long a process that runs no tasks leaves those that can be run to processes that do. */
const LEFT_TO_RUNNERS_MS = 600_000;

/** A process that has no room leaves them to others for good; what can only be ended it ends. */
const LEFT_TO_OTHERS_MS = MAX_INTEGER;

/**
 * Takes over what nobody runs: queued tasks, as soon as there is room for them, and the tasks of
 * processes that were lost, which are attempted again or ended.
 */
export class TaskClaimer {
  readonly #logger = new Logger(TaskClaimer.name);
  readonly #stopping = new AbortController();
  readonly #alarm: Alarm;
  #claiming: Promise<unknown> | null = null;

  constructor(private readonly context: TaskSupervisorContext) {
    this.#alarm = new Alarm(context.clock);
  }

  start(): void {
    if (this.#claiming !== null) {
      return;
    }
    const { storage, runs } = this.context;
    if (this.#isQueueing) {
      const stopListening = storage.changes.listen(({ kind }) => {
        if (kind !== 'written') {
          this.#alarm.ring();
        }
      });
      this.#stopping.signal.addEventListener('abort', stopListening, { once: true });
      runs.onRoom(() => this.#alarm.ring());
    }
    this.#claiming = this.#claimUntilStopped();
  }

  /** Nothing is claimed any more when it resolves. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#alarm.ring();
    await this.#claiming;
  }

  get #isQueueing(): boolean {
    const { settings, runner } = this.context;
    return settings.whenFull === 'queue' && runner !== null;
  }

  async #claimUntilStopped(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const wasFull = await this.#tryToClaim();
      if (!wasFull) {
        await this.#alarm.wait(this.#pollMs());
      }
    }
  }

  #pollMs(): number {
    const { storage, keeper } = this.context;
    const searchMs = keeper.leaseMs / SEARCHES_PER_LEASE;
    return this.#isQueueing ? Math.min(searchMs, pollIntervalMs(storage.changes)) : searchMs;
  }

  /** @returns whether as many were claimed as there was room for; `false` when it failed */
  async #tryToClaim(): Promise<boolean> {
    try {
      return await this.#claim();
    } catch (error) {
      const log = isUnavailable(error) ? 'debug' : 'error';
      this.#logger[log](`Tasks were not claimed, which is tried again: ${describeError(error)}`);
      return false;
    }
  }

  /**
   * Lost tasks come first: they hold places of the whole cluster, and would otherwise find none here
   * while others wait.
   */
  async #claim(): Promise<boolean> {
    const room = this.context.runs.reserve(MAX_CLAIM);
    try {
      const expired = await this.#claimExpired(room.count);
      const left = room.count - expired.length;
      const queued = this.#isQueueing && left > 0 ? await this.#claimQueued(left) : [];
      return room.count > 0 && expired.length + queued.length >= room.count;
    } finally {
      room.release();
    }
  }

  async #claimExpired(room: number): Promise<readonly ClaimedTask[]> {
    const { storage, settings, keeper, runner } = this.context;
    const { owner, leaseMs } = keeper;
    const leftMs = room === 0 ? LEFT_TO_OTHERS_MS : 0;
    const span = keeper.beginSpan();
    const claimed = await storage.leases.claimExpired({
      owner,
      leaseMs,
      limit: room === 0 ? MAX_CLAIM : room,
      resumableAfterMs: runner === null ? LEFT_TO_RUNNERS_MS : leftMs,
      staleRunningMinutes: settings.staleRunningMinutes ?? undefined,
    });
    await this.#takeOver(claimed, span);
    return claimed;
  }

  async #claimQueued(limit: number): Promise<readonly ClaimedTask[]> {
    const { storage, settings, keeper } = this.context;
    const { owner, leaseMs } = keeper;
    const span = keeper.beginSpan();
    const claimed = await storage.leases.claimQueued({
      owner,
      leaseMs,
      limit,
      maxHeldTasks: settings.maxTasks,
      maxHeldTasksPerTenant: settings.maxTasksPerTenant ?? undefined,
    });
    await this.#takeOver(claimed, span);
    return claimed;
  }

  async #takeOver(claimed: readonly ClaimedTask[], span: LeaseSpan): Promise<void> {
    const { runner, runs } = this.context;
    const starts = claimed.map(async ({ task, lostOwner }) => {
      if (runner !== null && mayRun(task, lostOwner, runner)) {
        await this.#run(task, runner, span);
      } else {
        // Not waited for: whoever waits here keeps room for runs.
        runs.track(this.#end(task, this.#endingOf(lostOwner)));
      }
    });
    await Promise.all(starts);
  }

  async #run(task: Task, runner: AgentRunner, span: LeaseSpan): Promise<void> {
    const { runs } = this.context;
    try {
      const job = await restoreJob(task, this.context);
      // When the process stops, the lease is given up, and another process claims the task.
      if (!this.#stopping.signal.aborted) {
        runs.start(runs.add(job, runner), span);
      }
    } catch (error) {
      this.#logger.error(
        `Task ${task.taskId} cannot be run here, and is left until its lease has ended: ${describeError(error)}`,
      );
      if (error instanceof TaskStorageError && error.code === 'CORRUPT') {
        const reason = new Error('The stored request of the task cannot be read.');
        runs.track(this.#end(task, failed(reason)));
      }
    }
  }

  #endingOf(lostOwner: string | null): TaskEnding {
    return lostOwner === null
      ? stale(this.context.settings.staleRunningMinutes ?? 0)
      : lost(replicaOf(lostOwner));
  }

  async #end(task: Task, ending: TaskEnding): Promise<void> {
    const { storage, clock, keeper } = this.context;
    const { taskId, attempt, lastEventSequence } = task;
    const lease = { owner: keeper.owner, attempt };
    const giveUp = new AbortController();
    // Whoever claims it next may end it as well.
    const cancelTimer = clock.after(keeper.leaseMs, () => giveUp.abort());
    const record = new TaskRecord(taskId, lease, lastEventSequence, {
      storage,
      clock,
      giveUp: giveUp.signal,
    });
    try {
      if (await record.end(ending, [])) {
        this.#logger.warn(`Task ${taskId}: ${ending.error}`);
      }
    } catch (error) {
      this.#logger.warn(`Task ${taskId} was not ended yet: ${describeError(error)}`);
    } finally {
      cancelTimer();
    }
  }
}

/** Whether the task, claimed as it is, may be run: what was never run may be by any runner. */
function mayRun(task: Task, lostOwner: string | null, runner: AgentRunner): boolean {
  const isResumable =
    lostOwner !== null && runner.resumable === true && task.attempt <= task.maxAttempts;
  return waitsInQueue(task) || isResumable;
}
