import type { NewTaskEvent } from '../../task/task-event.js';
import type { ParsedCreateOptions } from '../../task/options-input.js';
import type { ParsedNewTask } from '../../task/task-input.js';
import { ACTIVE_STATUSES, isTerminal, predecessorsOf } from '../../task/task-lifecycle.js';
import type { TaskUpdates } from '../../task/task.js';
import type { WriteGuards } from '../../task/write-guards.js';
import { activeLimits, hasLimit } from './admission.js';
import { leaseEnd } from './lease-statements.js';
import type { SchemaNames } from './schema-names.js';
import { SqlParameters, type SqlStatement } from './sql-parameters.js';
import { isJsonField, TASK_COLUMNS } from './task-rows.js';

/** A change of one task: everything that must hold is checked in the statement that writes. */
export interface GuardedChange extends WriteGuards {
  readonly taskId: string;
  /** Only a task of this tenant; `null` for any. */
  readonly tenantId: string | null;
  /** `null` to add events alone, which leaves version and `updatedAt` as they are. */
  readonly updates: TaskUpdates | null;
  readonly expectedVersion: number | null;
  readonly events: readonly NewTaskEvent[];
}

/** The values of a parsed task or update, as placeholders by column. */
function assignments(fields: object, parameters: SqlParameters): [column: string, sql: string][] {
  const columns: Readonly<Record<string, string>> = TASK_COLUMNS;
  return Object.entries(fields).flatMap(([field, value]): [string, string][] => {
    const column = columns[field];
    if (column === undefined) {
      return [];
    }
    // The driver would write a JavaScript array as a Postgres one, so JSON goes as text.
    const isJson = isJsonField(field) && value !== null;
    const placeholder = parameters.add(isJson ? JSON.stringify(value) : value);
    return [[column, isJson ? `${placeholder}::jsonb` : placeholder]];
  });
}

/**
 * A part of a statement that adds events to the row of `source`, which names the task and the
 * sequence of its newest event with the new ones counted in. The last event carries the status.
 */
function appendEvents(
  names: SchemaNames,
  source: string,
  events: readonly NewTaskEvent[],
  status: string | null,
  parameters: SqlParameters,
): string {
  const stages = parameters.add(events.map(({ stage }) => stage));
  const messages = parameters.add(events.map(({ message }) => message));
  return `appended AS (
    INSERT INTO ${names.events} (task_id, sequence, stage, message, status)
    SELECT ${source}.task_id, ${source}.last_event_sequence - ${events.length} + event.position,
      event.stage, event.message,
      CASE WHEN event.position = ${events.length} THEN ${parameters.add(status)}::varchar END
    FROM ${source},
      unnest(${stages}::text[], ${messages}::text[]) WITH ORDINALITY AS event (stage, message, position)
  )`;
}

/**
 * Inserts a task unless its id is taken, or, with a limit, unless that many are active.
 * Answers one row: `created`, and with a limit `taken`, `active` and `tenant_active`.
 */
export function insertTask(
  names: SchemaNames,
  task: ParsedNewTask,
  options: ParsedCreateOptions,
): SqlStatement {
  const { events } = options;
  const parameters = new SqlParameters();
  const values = new Map([
    ...assignments(task, parameters),
    ...keptValues(task, options, parameters),
  ]);
  const limits = hasLimit(options) ? activeLimits(names, options, task.tenantId, parameters) : null;
  const parts = [
    ...(limits === null ? [] : [`limits AS (${limits.counts})`]),
    `created AS (
      INSERT INTO ${names.tasks} (${[...values.keys()].join(', ')})
      SELECT ${[...values.values()].join(', ')}
      ${limits === null ? '' : `FROM limits WHERE ${limits.room}`}
      ON CONFLICT (task_id) DO NOTHING
      RETURNING task_id, last_event_sequence
    )`,
    ...(events.length === 0
      ? []
      : [appendEvents(names, 'created', events, task.status, parameters)]),
  ];
  // Only a limit leaves a choice of reasons for which nothing was created.
  const reasons =
    limits === null
      ? ''
      : `, EXISTS (SELECT 1 FROM ${names.tasks} WHERE task_id = ${parameters.add(task.taskId)}) AS taken,
          (SELECT active FROM limits) AS active, (SELECT tenant_active FROM limits) AS tenant_active`;
  return {
    text: `WITH ${parts.join(', ')}
      SELECT EXISTS (SELECT 1 FROM created) AS created${reasons}`,
    values: parameters.values,
  };
}

/** What the storage keeps of a new task, beside what the caller gave. */
function keptValues(
  task: ParsedNewTask,
  { lease, queue, events }: ParsedCreateOptions,
  parameters: SqlParameters,
): [column: string, sql: string][] {
  return [
    ['last_event_sequence', String(events.length)],
    ...(task.status === 'running' ? [['started_at', 'NOW()'] as [string, string]] : []),
    ...(queue ? [['queued_at', 'NOW()'] as [string, string]] : []),
    ...(lease === null
      ? []
      : Object.entries({
          attempt: '1',
          lease_owner: parameters.add(lease.owner),
          lease_expires_at: leaseEnd(lease.leaseMs, parameters),
        })),
  ];
}

/**
 * Changes a task. Answers no row when it does not exist, else one: the `status`, `version`,
 * `lease_owner`, `attempt` and `met_sequence` that the change met, whether it was `changed`, and the
 * new `last_event_sequence`.
 *
 * The row is locked before it is checked, so that the answer and the write speak of the same state.
 */
export function changeTask(names: SchemaNames, change: GuardedChange): SqlStatement {
  const { updates, events } = change;
  const parameters = new SqlParameters();
  const id = parameters.add(change.taskId);
  const tenant =
    change.tenantId === null ? '' : `AND tenant_id = ${parameters.add(change.tenantId)}`;
  const conditions = ['task.task_id = target.task_id'];
  if (change.expectedVersion !== null) {
    conditions.push(`target.version = ${parameters.add(change.expectedVersion)}`);
  }
  const allowed = allowedStatuses(change);
  if (allowed !== null) {
    // An array, because nothing may become pending and SQL has no empty IN list.
    conditions.push(`target.status = ANY (${parameters.add(allowed)}::varchar[])`);
  }
  if (change.lease !== null) {
    conditions.push(
      `target.lease_owner = ${parameters.add(change.lease.owner)}`,
      `target.attempt = ${parameters.add(change.lease.attempt)}`,
    );
  }
  if (change.expectedSequence !== null) {
    conditions.push(`target.met_sequence = ${parameters.add(change.expectedSequence)}`);
  }
  const parts = [
    `target AS (
      SELECT task_id, status, version, lease_owner, attempt, last_event_sequence AS met_sequence
      FROM ${names.tasks} WHERE task_id = ${id} ${tenant} FOR UPDATE
    )`,
    `changed AS (
      UPDATE ${names.tasks} AS task SET ${settings(updates, events.length, parameters).join(', ')}
      FROM target WHERE ${conditions.join(' AND ')}
      RETURNING task.task_id, task.last_event_sequence
    )`,
    ...(events.length === 0
      ? []
      : [appendEvents(names, 'changed', events, updates?.status ?? null, parameters)]),
  ];
  return {
    text: `WITH ${parts.join(', ')}
      SELECT target.*,
        changed.task_id IS NOT NULL AS changed, changed.last_event_sequence
      FROM target LEFT JOIN changed ON TRUE`,
    values: parameters.values,
  };
}

/** The statuses that the task may have now, or `null` when any will do. */
export function allowedStatuses(change: GuardedChange): readonly string[] | null {
  if (change.updates?.status !== undefined) {
    return predecessorsOf(change.updates.status);
  }
  return change.events.length > 0 ? ACTIVE_STATUSES : null;
}

function settings(
  updates: TaskUpdates | null,
  eventCount: number,
  parameters: SqlParameters,
): string[] {
  const set: string[] = [];
  if (eventCount > 0) {
    set.push(`last_event_sequence = task.last_event_sequence + ${eventCount}`);
  }
  if (updates === null) {
    return set;
  }
  set.push('version = task.version + 1', 'updated_at = NOW()');
  if (endsTask(updates)) {
    set.push(
      'finished_at = NOW()',
      'lease_owner = NULL',
      'lease_expires_at = NULL',
      'sealed_request = NULL',
    );
  }
  if (updates.status === 'running') {
    set.push('started_at = NOW()');
  }
  return [...set, ...assignments(updates, parameters).map(([column, sql]) => `${column} = ${sql}`)];
}

/** Whether the update ends the task for good. */
export function endsTask(updates: TaskUpdates | null): boolean {
  return updates?.status !== undefined && isTerminal(updates.status);
}
