import type { PagePosition } from '../../task/page-token.js';
import {
  ACTIVE_STATUSES,
  TERMINAL_STATUSES,
  type TerminalStatus,
} from '../../task/task-lifecycle.js';
import type { TaskView } from '../../task/task-storage.js';
import type { TaskStatus } from '../../task/task.js';
import { inputText, inputValues, type InputColumn } from './input-rows.js';
import { isAfter, PAGE_ORDER, PAGE_POSITION_COLUMNS } from './page-position.js';
import { bitsOf, PreparedTexts } from './prepared-texts.js';
import type { SchemaNames } from './schema-names.js';
import { sqlLiterals, SqlParameters, type SqlStatement } from './sql-parameters.js';
import { PAYLOAD_COLUMNS, selectTask, selectTime } from './task-columns.js';

/** A task that somebody asks for. */
export interface WantedTask {
  readonly taskId: string;
  /** Only a task of this tenant; `null` for any. */
  readonly tenantId: string | null;
}

const WANTED_COLUMNS: readonly InputColumn<WantedTask>[] = [
  { name: 'wanted_id', type: 'varchar', read: ({ taskId }) => taskId },
  { name: 'wanted_tenant', type: 'varchar', read: ({ tenantId }) => tenantId },
];

/** A task with a field that takes more than this, or is longer, is not read beside others. */
const LARGE_STORED_BYTES = 65_536;
const LARGE_BYTES = 262_144;
/** What takes less is not compressed, or not so far that it could be large. */
const SURELY_SMALL_BYTES = 2_000;

/** The columns that may be long. */
const LONG_SUMMARY_COLUMNS = ['query', 'result', 'error', 'execution_statistics', 'sandbox_info'];
const LONG_COLUMNS: Readonly<Record<TaskView, readonly string[]>> = {
  summary: LONG_SUMMARY_COLUMNS,
  full: [...LONG_SUMMARY_COLUMNS, ...PAYLOAD_COLUMNS],
};

/** Looks at the stored size first, which needs not read the value; what compresses well may be larger. */
function isSmallColumn(column: string): string {
  return `CASE
    WHEN ${column} IS NULL OR pg_column_size(${column}) <= ${SURELY_SMALL_BYTES} THEN TRUE
    WHEN pg_column_size(${column}) > ${LARGE_STORED_BYTES} THEN FALSE
    ELSE octet_length(${column}::text) <= ${LARGE_BYTES} END`;
}

/**
 * Selects tasks by their ids, each with its `position` among those wanted.
 *
 * @param readsLarge whether a task is read however large it is; otherwise a large one is
 *   answered as `NULL`
 */
export function selectByIds(
  names: SchemaNames,
  view: TaskView,
  wanted: readonly WantedTask[],
  readsLarge: boolean,
): SqlStatement {
  const isSingle = wanted.length === 1;
  const shape = bitsOf([view === 'full', isSingle, readsLarge]);
  const { text, name } = wantedTexts.of(names, shape, () => {
    const isSmall = LONG_COLUMNS[view].map(isSmallColumn).join(' AND ');
    const task = readsLarge
      ? selectTask(view)
      : `CASE WHEN ${isSmall} THEN ${selectTask(view)} END`;
    return {
      text: `SELECT position, ${task} AS task
        FROM ${inputText('wanted', WANTED_COLUMNS, isSingle, 0)} JOIN ${names.tasks} AS task
          ON task_id = wanted_id AND (wanted_tenant IS NULL OR tenant_id = wanted_tenant)`,
    };
  });
  return { text, name, values: inputValues(WANTED_COLUMNS, wanted) };
}

const wantedTexts = new PreparedTexts<{ text: string }>();

/** Which tasks to list, and how much of each. */
export interface ListQuery {
  readonly tenantId: string | null;
  readonly status: TaskStatus | null;
  readonly after: PagePosition | null;
  readonly offset: number;
  readonly limit: number;
  readonly view: TaskView;
}

/** Selects tasks, the newest first, each with its place in the list. */
export function selectTasks(names: SchemaNames, query: ListQuery): SqlStatement {
  const parameters = new SqlParameters();
  const conditions: string[] = [];
  if (query.tenantId !== null) {
    conditions.push(`tenant_id = ${parameters.add(query.tenantId)}`);
  }
  if (query.status !== null) {
    conditions.push(`status = ${parameters.add(query.status)}`);
  }
  if (query.after !== null) {
    conditions.push(isAfter(query.after, parameters));
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  return {
    text: `SELECT ${selectTask(query.view)} AS task, ${PAGE_POSITION_COLUMNS}
      FROM ${names.tasks} ${where}
      ORDER BY ${PAGE_ORDER}
      LIMIT ${parameters.add(query.limit)} OFFSET ${parameters.add(query.offset)}`,
    values: parameters.values,
  };
}

/** Counts the active tasks: one row, `active`. */
export function countActive(names: SchemaNames, tenantId: string | null): SqlStatement {
  return {
    // Literals, because the planner takes the partial index only for what it can read.
    text: `SELECT COUNT(*)::int AS active FROM ${names.tasks}
      WHERE status IN (${sqlLiterals(ACTIVE_STATUSES)}) ${tenantId === null ? '' : 'AND tenant_id = $1'}`,
    values: tenantId === null ? [] : [tenantId],
  };
}

/** Selects a task's events after a sequence, in order. */
export function selectEvents(
  names: SchemaNames,
  query: { taskId: string; tenantId: string | null; afterSequence: number; limit: number },
): SqlStatement {
  const parameters = new SqlParameters();
  const id = parameters.add(query.taskId);
  const tenant =
    query.tenantId === null
      ? ''
      : `AND EXISTS (SELECT 1 FROM ${names.tasks}
           WHERE task_id = ${id} AND tenant_id = ${parameters.add(query.tenantId)})`;
  return {
    text: `SELECT task_id, sequence, stage, message, status, ${selectTime('created_at')} AS created_at FROM ${names.events}
      WHERE task_id = ${id} AND sequence > ${parameters.add(query.afterSequence)} ${tenant}
      ORDER BY sequence LIMIT ${parameters.add(query.limit)}`,
    values: parameters.values,
  };
}

/** Which ended tasks are old enough to go. */
export interface CleanupQuery {
  readonly tenantId: string | null;
  readonly statuses: readonly TerminalStatus[];
  readonly olderThanDays: number;
}

/** The two kinds of old tasks, each found by its own index: with a time of their end, and without. */
function oldTasks(
  query: CleanupQuery,
  parameters: SqlParameters,
): { known: string; unseen: string } {
  const statuses = `status = ANY (${parameters.add([...query.statuses])}::varchar[])`;
  const cutoff = `NOW() - make_interval(days => ${parameters.add(query.olderThanDays)}::int)`;
  const tenant = query.tenantId === null ? '' : `AND tenant_id = ${parameters.add(query.tenantId)}`;
  return {
    known: `finished_at <= ${cutoff} AND ${statuses} ${tenant}`,
    // A row of the original service ended no later than it was last updated, and was created
    // before that; the first comparison is the one that the index answers.
    unseen: `finished_at IS NULL AND status IN (${sqlLiterals(TERMINAL_STATUSES)})
      AND created_at <= ${cutoff} AND updated_at <= ${cutoff} AND ${statuses} ${tenant}`,
  };
}

/** Counts what `deleteOldTasks` would delete if it had no limit: one row, `total`. */
export function countOldTasks(
  names: SchemaNames,
  query: CleanupQuery,
  limit: number | null,
): SqlStatement {
  const parameters = new SqlParameters();
  const { known, unseen } = oldTasks(query, parameters);
  const most = limit === null ? '' : `LIMIT ${parameters.add(limit)}`;
  return {
    text: `SELECT COUNT(*)::int AS total FROM (
        SELECT 1 FROM ${names.tasks} WHERE ${known}
        UNION ALL
        SELECT 1 FROM ${names.tasks} WHERE ${unseen}
        ${most}
      ) AS old`,
    values: parameters.values,
  };
}

/** Deletes one batch of old tasks, the oldest first: one row, `total`. */
export function deleteOldTasks(
  names: SchemaNames,
  query: CleanupQuery,
  batchSize: number,
): SqlStatement {
  const parameters = new SqlParameters();
  const { known, unseen } = oldTasks(query, parameters);
  const limit = parameters.add(batchSize);
  return {
    text: `WITH known AS (
        SELECT task_id, finished_at AS ended_at FROM ${names.tasks} WHERE ${known}
        ORDER BY finished_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
      ), unseen AS (
        SELECT task_id, updated_at AS ended_at FROM ${names.tasks} WHERE ${unseen}
        ORDER BY created_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
      ), doomed AS (
        SELECT task_id FROM (SELECT * FROM known UNION ALL SELECT * FROM unseen) AS old
        ORDER BY ended_at LIMIT ${limit}
      ), deleted AS (
        DELETE FROM ${names.tasks} AS task USING doomed
        WHERE task.task_id = doomed.task_id RETURNING task.task_id
      )
      SELECT COUNT(*)::int AS total FROM deleted`,
    values: parameters.values,
  };
}
