import { Logger, type BeforeApplicationShutdown, type OnModuleDestroy } from '@nestjs/common';
import type { Clock } from '../task/clock.js';
import type { TerminalStatus } from '../task/task-lifecycle.js';
import type { TaskStorage } from '../task/task-storage.js';
import type { RetentionPlan } from './retention-options.js';
import { describeReport, type RetentionOutcome, type RetentionReport } from './retention-report.js';

/** The name under which replicas agree who cleans up. */
const EXCLUSIVE_WORK = 'retention';

/** What one run has done so far. */
class RunProgress {
  readonly deletedByStatus: Record<TerminalStatus, number> = {
    finished: 0,
    error: 0,
    cancelled: 0,
  };
  limitReached = false;

  get deleted(): number {
    return Object.values(this.deletedByStatus).reduce((sum, count) => sum + count, 0);
  }
}

/**
 * Deletes ended tasks that are old enough. It deletes in batches, each a transaction of its own,
 * because one large DELETE blocks others, bloats the table and runs into time-outs.
 */
export class TaskCleanupService implements OnModuleDestroy, BeforeApplicationShutdown {
  readonly #logger = new Logger(TaskCleanupService.name);
  readonly #listeners: ((report: RetentionReport) => void)[] = [];
  #runUnderWay: Promise<RetentionReport> | null = null;
  #isShuttingDown = false;
  #endPause: () => void = () => undefined;

  constructor(
    private readonly storage: TaskStorage,
    private readonly plan: RetentionPlan,
    private readonly clock: Clock,
  ) {}

  /** Tells the listener of every run, the failed ones included. */
  onReport(listener: (report: RetentionReport) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Deletes what is due now, unless a run is under way here or in another process.
   *
   * @throws {TaskStorageError} when the storage fails; what was deleted before stays deleted
   */
  async runOnce(): Promise<RetentionReport> {
    if (this.#runUnderWay !== null) {
      return this.#report('skipped', new RunProgress(), 0);
    }
    this.#runUnderWay = this.#run();
    try {
      return await this.#runUnderWay;
    } finally {
      this.#runUnderWay = null;
    }
  }

  /** Lets a run under way stop after its current batch. */
  onModuleDestroy(): void {
    this.#isShuttingDown = true;
    this.#endPause();
  }

  /** Waits for that batch, so that the storage is closed after it. */
  async beforeApplicationShutdown(): Promise<void> {
    // Whoever called runOnce hears of its failure.
    await this.#runUnderWay?.catch(() => undefined);
  }

  async #run(): Promise<RetentionReport> {
    const startedAt = this.clock.now().getTime();
    const elapsedMs = (): number => this.clock.now().getTime() - startedAt;
    const progress = new RunProgress();
    try {
      const result = await this.storage.runExclusively(EXCLUSIVE_WORK, async () =>
        this.#deleteWhatIsDue(progress),
      );
      return this.#report(result.ran ? result.value : 'skipped', progress, elapsedMs());
    } catch (error) {
      this.#report('failed', progress, elapsedMs());
      throw error;
    }
  }

  /** Takes the statuses in turn, so that a flood of one cannot use up the limit of every run. */
  async #deleteWhatIsDue(progress: RunProgress): Promise<RetentionOutcome> {
    const { rules, batchSize, maxPerRun, dryRun } = this.plan;
    const due = [...rules];
    for (let rule = due.shift(); rule !== undefined; rule = due.shift()) {
      if (this.#isShuttingDown) {
        return 'interrupted';
      }
      const room = maxPerRun - progress.deleted;
      if (room === 0) {
        progress.limitReached = true;
        return 'completed';
      }
      // Counting deletes nothing: the next batch would count the same tasks again.
      const limit = dryRun ? room : Math.min(batchSize, room);
      const { status, days } = rule;
      const deleted = await this.storage.cleanupOldTasks(days, {
        statuses: [status],
        limit,
        dryRun,
      });
      progress.deletedByStatus[status] += deleted;
      if (deleted === limit) {
        due.push(rule);
      }
      if (due.length > 0 && deleted > 0) {
        await this.#pause();
      }
    }
    return 'completed';
  }

  async #pause(): Promise<void> {
    if (this.#isShuttingDown) {
      return;
    }
    await new Promise<void>((resolve) => {
      const cancel = this.clock.after(this.plan.pauseMs, resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  #report(outcome: RetentionOutcome, progress: RunProgress, durationMs: number): RetentionReport {
    const report: RetentionReport = {
      outcome,
      deletedByStatus: progress.deletedByStatus,
      limitReached: progress.limitReached,
      dryRun: this.plan.dryRun,
      durationMs,
    };
    this.#logger[outcome === 'skipped' ? 'debug' : 'log'](describeReport(report));
    for (const listener of this.#listeners) {
      listener(report);
    }
    return report;
  }
}
