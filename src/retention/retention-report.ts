import { TERMINAL_STATUSES, type TerminalStatus } from '../task/task-lifecycle.js';

/**
 * How a retention run ended.
 *
 * - `completed`: nothing due is left, or the limit of a run was reached.
 * - `interrupted`: the application shuts down; the rest waits for the next run.
 * - `skipped`: a run was under way already, here or in another process; this one did nothing.
 * - `failed`: the storage failed.
 */
export type RetentionOutcome = 'completed' | 'interrupted' | 'skipped' | 'failed';

/** What a retention run did. */
export interface RetentionReport {
  readonly outcome: RetentionOutcome;
  /** How many tasks were deleted, or would be with `dryRun`. */
  readonly deletedByStatus: Readonly<Record<TerminalStatus, number>>;
  /** Whether tasks that are due may be left because the run deleted as many as one run may. */
  readonly limitReached: boolean;
  readonly dryRun: boolean;
  readonly durationMs: number;
}

const ENDING_BY_OUTCOME: Readonly<Record<RetentionOutcome, string>> = {
  completed: '',
  interrupted: '; stopped early by the shutdown',
  skipped: '',
  failed: '; then the storage failed',
};

/** Says in one line what a run did, for the log. */
export function describeReport(report: RetentionReport): string {
  if (report.outcome === 'skipped') {
    return 'Skipped: a retention run is under way already, here or in another process';
  }
  const counts = TERMINAL_STATUSES.map((status) => `${report.deletedByStatus[status]} ${status}`);
  const verb = report.dryRun ? 'Would delete' : 'Deleted';
  const limit = report.limitReached ? '; reached the limit of a run, the rest waits' : '';
  const ending = ENDING_BY_OUTCOME[report.outcome];
  return `${verb} ${counts.join(', ')} tasks in ${report.durationMs} ms${limit}${ending}`;
}
