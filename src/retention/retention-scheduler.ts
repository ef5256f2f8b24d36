import { Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { SchedulerRegistry } from '@nestjs/schedule';
import { CronJob } from 'cron';
import type { RetentionPlan } from './retention-options.js';
import type { TaskCleanupService } from './task-cleanup.service.js';

/** The name of the job in the application's `SchedulerRegistry`. */
export const RETENTION_JOB_NAME = 'task-retention';

/**
 * How late a run may start when the process was too busy to start it in time. By default `cron`
 * skips a run that is late by more than 250 ms.
 */
const LATENESS_MS = 60_000;

/** Runs the {@link TaskCleanupService} when the plan's cron expression says so. */
export class RetentionScheduler implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #logger = new Logger(RetentionScheduler.name);
  readonly #job: CronJob;

  constructor(
    private readonly cleanup: TaskCleanupService,
    private readonly plan: RetentionPlan,
    private readonly registry: SchedulerRegistry,
  ) {
    this.#job = CronJob.from({
      name: RETENTION_JOB_NAME,
      cronTime: plan.cron,
      onTick: async () => this.#runAndLog(),
      start: false,
      unrefTimeout: true,
      threshold: LATENESS_MS,
    });
  }

  onApplicationBootstrap(): void {
    this.registry.addCronJob(RETENTION_JOB_NAME, this.#job);
    if (this.plan.rules.length === 0) {
      this.#logger.log('Ended tasks are kept for ever');
      return;
    }
    this.#job.start();
    const rules = this.plan.rules.map(({ status, days }) => `${status} after ${days} days`);
    const verb = this.plan.dryRun ? 'Counts, without deleting,' : 'Deletes';
    this.#logger.log(`${verb} ended tasks (${rules.join(', ')}) at "${this.plan.cron}"`);
  }

  async onModuleDestroy(): Promise<void> {
    await this.#job.stop();
  }

  /** One failed run must not end the schedule: the next one happens. */
  async #runAndLog(): Promise<void> {
    try {
      await this.cleanup.runOnce();
    } catch (error) {
      const reason = error instanceof Error ? error : new Error(String(error));
      this.#logger.error(
        `The retention run failed; the next one is at ${this.#job.nextDate().toISO()}: ${reason.message}`,
        reason.stack,
      );
    }
  }
}
