import { TaskStorageError } from '../../task/errors.js';
import { isPlainObject, type JsonObject } from '../../task/json.js';
import type { TaskEvent } from '../../task/task-event.js';
import {
  TASK_JSON_FIELDS,
  TASK_PAYLOAD_FIELDS,
  TASK_STATUSES,
  type Task,
  type TaskStatus,
  type TaskSummary,
} from '../../task/task.js';
import type { SqlRow } from './postgres-connection.js';

const MICROSECONDS_PER_MS = 1000;

/** From the fields of a task to the columns of the table. */
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
  requestData: 'request_data',
  conversationHistory: 'conversation_history',
  sealedRequest: 'sealed_request',
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
} as const satisfies Record<keyof Task, string>;

const PAYLOAD_COLUMNS: ReadonlySet<string> = new Set(
  TASK_PAYLOAD_FIELDS.map((field) => TASK_COLUMNS[field]),
);

const JSON_COLUMNS: ReadonlySet<string> = new Set(
  TASK_JSON_FIELDS.map((field) => TASK_COLUMNS[field]),
);

/** As whole microseconds, so that neither a `Date` nor the session's DateStyle rounds or turns it. */
export function selectTime(column: string): string {
  return `(EXTRACT(EPOCH FROM ${column}) * 1000000)::bigint::text AS ${column}`;
}

/** As text, because an application may have told the driver to parse JSON and times in its own way. */
function selectColumn(column: string): string {
  if (column.endsWith('_at')) {
    return selectTime(column);
  }
  return JSON_COLUMNS.has(column) ? `${column}::text` : column;
}

/** The columns of a whole task, for a SELECT. */
export const FULL_COLUMNS = Object.values(TASK_COLUMNS).map(selectColumn).join(', ');

/** The columns of a summary, for a SELECT. */
export const SUMMARY_COLUMNS = Object.values(TASK_COLUMNS)
  .filter((column) => !PAYLOAD_COLUMNS.has(column))
  .map(selectColumn)
  .join(', ');

/** Whether a field of a task holds JSON, which goes to the database as text. */
export function isJsonField(field: string): boolean {
  return TASK_JSON_FIELDS.some((jsonField) => jsonField === field);
}

/** @throws {TaskStorageError} `CORRUPT` when a column holds what the storage cannot understand */
export function readTask(row: SqlRow): Task {
  return {
    ...readSummary(row),
    executionStatistics: nullable(row, 'execution_statistics', readJson),
    sandboxInfo: nullable(row, 'sandbox_info', readJson),
    requestData: nullable(row, 'request_data', readJson),
    conversationHistory: nullable(row, 'conversation_history', readJson),
    sealedRequest: nullable(row, 'sealed_request', readText),
  };
}

/** @throws {TaskStorageError} `CORRUPT` when a column holds what the storage cannot understand */
export function readSummary(row: SqlRow): TaskSummary {
  return {
    taskId: readText(row, 'task_id'),
    tenantId: readText(row, 'tenant_id'),
    status: readStatus(row, 'status'),
    query: readText(row, 'query'),
    maxSteps: readNumber(row, 'max_steps'),
    finalState: nullable(row, 'final_state', readText),
    timestampDir: nullable(row, 'timestamp_dir', readText),
    result: nullable(row, 'result', readText),
    error: nullable(row, 'error', readText),
    leaseOwner: nullable(row, 'lease_owner', readText),
    leaseExpiresAt: nullable(row, 'lease_expires_at', readDate),
    attempt: readNumber(row, 'attempt'),
    maxAttempts: readNumber(row, 'max_attempts'),
    queuedAt: nullable(row, 'queued_at', readDate),
    version: readNumber(row, 'version'),
    lastEventSequence: readNumber(row, 'last_event_sequence'),
    createdAt: readDate(row, 'created_at'),
    updatedAt: readDate(row, 'updated_at'),
    startedAt: nullable(row, 'started_at', readDate),
    finishedAt: nullable(row, 'finished_at', readDate),
  };
}

/** @throws {TaskStorageError} `CORRUPT` when a column holds what the storage cannot understand */
export function readEvent(row: SqlRow): TaskEvent {
  return {
    taskId: readText(row, 'task_id'),
    sequence: readNumber(row, 'sequence'),
    stage: readText(row, 'stage'),
    message: readText(row, 'message'),
    status: nullable(row, 'status', readStatus),
    createdAt: readDate(row, 'created_at'),
  };
}

export function readStatus(row: SqlRow, column: string): TaskStatus {
  const status = TASK_STATUSES.find((known) => known === row[column]);
  return status ?? corrupt(row, column, TASK_STATUSES.join(', '));
}

export function readNumber(row: SqlRow, column: string): number {
  const value = row[column];
  return typeof value === 'number' ? value : corrupt(row, column, 'a number');
}

export function readText(row: SqlRow, column: string): string {
  const value = row[column];
  return typeof value === 'string' ? value : corrupt(row, column, 'text');
}

export function readJson(row: SqlRow, column: string): JsonObject {
  const value: unknown = JSON.parse(readText(row, column));
  return isJsonObject(value) ? value : corrupt(row, column, 'a JSON object');
}

function readDate(row: SqlRow, column: string): Date {
  const date = new Date(Math.floor(Number(readText(row, column)) / MICROSECONDS_PER_MS));
  return Number.isNaN(date.getTime()) ? corrupt(row, column, 'a time') : date;
}

/** Reads a column that may be empty. */
export function nullable<T>(
  row: SqlRow,
  column: string,
  read: (row: SqlRow, column: string) => T,
): T | null {
  return row[column] === null ? null : read(row, column);
}

/** What was parsed from JSON is JSON all the way down. */
function isJsonObject(value: unknown): value is JsonObject {
  return isPlainObject(value);
}

function corrupt(row: SqlRow, column: string, expected: string): never {
  throw new TaskStorageError(
    'CORRUPT',
    `Task ${String(row['task_id'])}: the column ${column} does not hold ${expected}`,
  );
}
