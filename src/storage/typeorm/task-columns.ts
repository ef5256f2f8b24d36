import { TASK_JSON_FIELDS, TASK_PAYLOAD_FIELDS, type TaskSummary } from '../../task/task.js';
import type { TaskView } from '../../task/task-storage.js';

/** From the fields of a task to the columns of the table; those that may be large come last. */
export const TASK_COLUMNS = {
  taskId: 'task_id',
  tenantId: 'tenant_id',
  status: 'status',
  query: 'query',
  maxSteps: 'max_steps',
  finalState: 'final_state',
  timestampDir: 'timestamp_dir',
  executionStatistics: 'execution_statistics',
  sandboxInfo: 'sandbox_info',
  result: 'result',
  error: 'error',
  leaseOwner: 'lease_owner',
  leaseExpiresAt: 'lease_expires_at',
  attempt: 'attempt',
  maxAttempts: 'max_attempts',
  queuedAt: 'queued_at',
  version: 'version',
  lastEventSequence: 'last_event_sequence',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
  startedAt: 'started_at',
  finishedAt: 'finished_at',
  requestData: 'request_data',
  conversationHistory: 'conversation_history',
  sealedRequest: 'sealed_request',
} as const satisfies Record<keyof TaskSummary, string> &
  Record<(typeof TASK_PAYLOAD_FIELDS)[number], string>;

/** The columns of what may be large. */
export const PAYLOAD_COLUMNS: readonly string[] = TASK_PAYLOAD_FIELDS.map(
  (field) => TASK_COLUMNS[field],
);

const ALL_COLUMNS = Object.values(TASK_COLUMNS);

const SELECTED: Readonly<Record<TaskView, string>> = {
  full: asArray(ALL_COLUMNS),
  summary: asArray(ALL_COLUMNS.filter((column) => !PAYLOAD_COLUMNS.includes(column))),
};

/**
 * A task as one JSON array, for a SELECT. Postgres writes it and V8 reads it faster than the protocol
 * carries as many columns; and an application may have told the driver to read types in its own way.
 */
export function selectTask(view: TaskView): string {
  return SELECTED[view];
}

function asArray(columns: readonly string[]): string {
  const values = columns.map((column) => (column.endsWith('_at') ? selectTime(column) : column));
  return `json_build_array(${values.join(', ')})`;
}

/**
 * As microseconds, so that neither a `Date` nor the session's DateStyle rounds or turns it. Numeric,
 * because as a `bigint` the time `infinity` of one row would fail the statement for all.
 */
export function selectTime(column: string): string {
  return `EXTRACT(EPOCH FROM ${column})::numeric * 1000000`;
}

/** The place of each field in the array, in either view. */
export const FIELD_POSITIONS = positionsOf(TASK_COLUMNS);

function positionsOf<Field extends string>(
  columns: Readonly<Record<Field, string>>,
): Readonly<Record<Field, number>> {
  const positions = Object.keys(columns).map((field, position) => [field, position]);
  return Object.fromEntries(positions);
}

const JSON_FIELDS: ReadonlySet<string> = new Set(TASK_JSON_FIELDS);

/** Whether a field of a task holds JSON, which goes to the database as text. */
export function isJsonField(field: string): boolean {
  return JSON_FIELDS.has(field);
}
