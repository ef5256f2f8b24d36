import { sendAt } from 'cron';
import { z } from 'zod';
import { integer, flag, readEnvironment } from '../config/environment.js';
import { TERMINAL_STATUSES, type TerminalStatus } from '../task/task-lifecycle.js';

/** Tasks of this age are never deleted. */
const NEVER = -1;

/** When ended tasks are deleted, which, and how gently. */
export interface RetentionOptions {
  /** When to run: a cron expression in the time zone of the process. Default `0 * * * *`, hourly. */
  cron?: string | undefined;
  /** Days from a task's end to its deletion, 0 to 36500; -1 keeps it for ever. Default 30. */
  days?: number | undefined;
  /** The same for one status; left out, `days` holds for it. */
  daysByStatus?: Partial<Record<TerminalStatus, number | undefined>> | undefined;
  /** How many tasks one transaction deletes, 1 to 10000. Default 1000. */
  batchSize?: number | undefined;
  /** How long to leave the database to others between two batches, 0 to 60000. Default 100. */
  pauseMs?: number | undefined;
  /** How many tasks one run deletes at the most. Default 100000. */
  maxPerRun?: number | undefined;
  /** Only count and log what a run would delete. Default `false`. */
  dryRun?: boolean | undefined;
}

/** The ended tasks of one status, and the age at which they are deleted. */
export interface RetentionRule {
  readonly status: TerminalStatus;
  readonly days: number;
}

/** {@link RetentionOptions}, checked and complete. */
export interface RetentionPlan {
  readonly cron: string;
  /** One for each status that is deleted at all. */
  readonly rules: readonly RetentionRule[];
  readonly batchSize: number;
  readonly pauseMs: number;
  readonly maxPerRun: number;
  readonly dryRun: boolean;
}

/** Whether it can be read, and comes true at some time: 30 February never does. */
function hasNextTime(expression: string): boolean {
  try {
    return sendAt(expression).isValid;
  } catch {
    return false;
  }
}

function cronExpression(defaultValue: string): z.ZodType<string, string | undefined> {
  return z
    .string()
    .optional()
    .transform((value) => value ?? defaultValue)
    .refine(hasNextTime, {
      error: `write a cron expression such as "${defaultValue}", which is the start of every hour`,
    });
}

const daysOfStatus = integer({ minimum: NEVER, maximum: 36_500 });

/** What each option may be, written in the environment or given in code. */
export const retentionParsers = {
  cron: cronExpression('0 * * * *'),
  days: integer({ minimum: NEVER, maximum: 36_500, defaultValue: 30 }),
  daysFinished: daysOfStatus,
  daysError: daysOfStatus,
  daysCancelled: daysOfStatus,
  batchSize: integer({ minimum: 1, maximum: 10_000, defaultValue: 1000 }),
  pauseMs: integer({ minimum: 0, maximum: 60_000, defaultValue: 100 }),
  maxPerRun: integer({ minimum: 1, maximum: 2_147_483_647, defaultValue: 100_000 }),
  dryRun: flag(false),
};

const optionsSchema = z.object({
  cron: retentionParsers.cron,
  days: retentionParsers.days,
  'daysByStatus.finished': retentionParsers.daysFinished,
  'daysByStatus.error': retentionParsers.daysError,
  'daysByStatus.cancelled': retentionParsers.daysCancelled,
  batchSize: retentionParsers.batchSize,
  pauseMs: retentionParsers.pauseMs,
  maxPerRun: retentionParsers.maxPerRun,
  dryRun: retentionParsers.dryRun,
});

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {ConfigurationError} with one sentence for each option that is wrong
 */
export function toRetentionPlan(options: RetentionOptions): RetentionPlan {
  const given = new Map<string, unknown>(Object.entries(options));
  for (const status of TERMINAL_STATUSES) {
    given.set(`daysByStatus.${status}`, options.daysByStatus?.[status]);
  }
  const { cron, days, batchSize, pauseMs, maxPerRun, dryRun, ...daysByStatus } = readEnvironment(
    optionsSchema,
    given,
  );
  const rules = TERMINAL_STATUSES.map((status) => ({
    status,
    days: daysByStatus[`daysByStatus.${status}`] ?? days,
  }));
  return {
    cron,
    rules: rules.filter((rule) => rule.days !== NEVER),
    batchSize,
    pauseMs,
    maxPerRun,
    dryRun,
  };
}
