import type { PagePosition } from '../../task/page-token.js';
import type { SqlRow } from './postgres-connection.js';
import type { SqlParameters } from './sql-parameters.js';
import { selectTime } from './task-columns.js';
import { nullable, readText } from './task-rows.js';

/*
 * Where a page of a list ends. The list holds rows that somebody else wrote, so the place of one with
 * whatever time must be found again.
 */

const MICROSECONDS_PER_DAY = 86_400_000_000n;

/** The last time that Postgres has; `EXTRACT` rounds it up to one that it has not. */
const LATEST_MICROSECONDS = 9_224_318_015_999_999_999n;

/** Stands for a time that is missing. */
const NO_TIME = '';

/** The columns of a list that {@link readPagePosition} reads. */
export const PAGE_POSITION_COLUMNS = `task_id, (${selectTime('created_at')})::text AS created_at_microseconds`;

/** Bytewise, so that the order is the same in every database; those without a time come first. */
export const PAGE_ORDER = 'created_at DESC, task_id COLLATE "C" DESC';

/** Where a page ends that ends with this row of a list. */
export function readPagePosition(row: SqlRow): PagePosition {
  const microseconds = nullable(row, 'created_at_microseconds', readText) ?? NO_TIME;
  return {
    // Numeric has decimals, which are always 0.
    createdAtMicroseconds: microseconds.replace(/\.0*$/, ''),
    taskId: readText(row, 'task_id'),
  };
}

/** SQL for what comes after a position in the list. */
export function isAfter(position: PagePosition, parameters: SqlParameters): string {
  const { createdAtMicroseconds: microseconds, taskId } = position;
  const id = `${parameters.add(taskId)} COLLATE "C"`;
  if (microseconds === NO_TIME) {
    return `(created_at IS NOT NULL OR task_id COLLATE "C" < ${id})`;
  }
  // A row comparison is one place in the index, however far down the list it is.
  return `(created_at, task_id COLLATE "C") < (${timeOf(microseconds, parameters)}, ${id})`;
}

function timeOf(microseconds: string, parameters: SqlParameters): string {
  if (!/^-?\d+$/.test(microseconds)) {
    // `Infinity` or `-Infinity`
    return `${parameters.add(microseconds)}::timestamptz`;
  }
  // In two parts, because Postgres multiplies an interval with a double, which rounds large numbers; and
  // without a zone, whose days may have other lengths.
  const found = BigInt(microseconds);
  const value = found > LATEST_MICROSECONDS ? LATEST_MICROSECONDS : found;
  const days = parameters.add(String(value / MICROSECONDS_PER_DAY));
  const rest = parameters.add(String(value % MICROSECONDS_PER_DAY));
  return `(TIMESTAMP 'epoch' + ${days}::int * INTERVAL '1 day'
    + ${rest}::bigint * INTERVAL '1 microsecond') AT TIME ZONE 'UTC'`;
}
