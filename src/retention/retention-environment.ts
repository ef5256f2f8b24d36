import { z } from 'zod';
import { readEnvironment, type EnvironmentSource } from '../config/environment.js';
import { retentionParsers, type RetentionOptions } from './retention-options.js';

/** The variables that say when ended tasks are deleted, which, and how gently. */
export const retentionEnvironment = z.object({
  /** When to run: a cron expression in the time zone of the process. Default: hourly. */
  TASK_RETENTION_CRON: retentionParsers.cron,
  /** Days from a task's end to its deletion; 0 deletes it at the next run, -1 never. */
  TASK_RETENTION_DAYS: retentionParsers.days,
  /** The same for tasks that ended as `finished`; not set, TASK_RETENTION_DAYS holds. */
  TASK_RETENTION_DAYS_FINISHED: retentionParsers.daysFinished,
  /** The same for tasks that ended as `error`; not set, TASK_RETENTION_DAYS holds. */
  TASK_RETENTION_DAYS_ERROR: retentionParsers.daysError,
  /** The same for tasks that ended as `cancelled`; not set, TASK_RETENTION_DAYS holds. */
  TASK_RETENTION_DAYS_CANCELLED: retentionParsers.daysCancelled,
  /** How many tasks one transaction deletes. */
  TASK_RETENTION_BATCH_SIZE: retentionParsers.batchSize,
  /** Milliseconds between two batches, left to other users of the database. */
  TASK_RETENTION_PAUSE_MS: retentionParsers.pauseMs,
  /** How many tasks one run deletes at the most; the rest waits for the next run. */
  TASK_RETENTION_MAX_PER_RUN: retentionParsers.maxPerRun,
  /** `1` or `true`: only count and log what a run would delete. */
  TASK_RETENTION_DRY_RUN: retentionParsers.dryRun,
});

/** @throws {ConfigurationError} with one sentence for each variable that is wrong */
export function readRetentionOptions(source: EnvironmentSource): RetentionOptions {
  const variables = readEnvironment(retentionEnvironment, source);
  return {
    cron: variables.TASK_RETENTION_CRON,
    days: variables.TASK_RETENTION_DAYS,
    daysByStatus: {
      finished: variables.TASK_RETENTION_DAYS_FINISHED,
      error: variables.TASK_RETENTION_DAYS_ERROR,
      cancelled: variables.TASK_RETENTION_DAYS_CANCELLED,
    },
    batchSize: variables.TASK_RETENTION_BATCH_SIZE,
    pauseMs: variables.TASK_RETENTION_PAUSE_MS,
    maxPerRun: variables.TASK_RETENTION_MAX_PER_RUN,
    dryRun: variables.TASK_RETENTION_DRY_RUN,
  };
}
