import { TaskStorageError } from '../../task/errors.js';
import { isPlainObject, type JsonObject } from '../../task/json.js';
import type { PagePosition } from '../../task/page-token.js';
import type { TaskEvent } from '../../task/task-event.js';
import { TASK_STATUSES, type Task, type TaskStatus, type TaskSummary } from '../../task/task.js';
import type { SqlRow } from './postgres-connection.js';
import { FIELD_POSITIONS, TASK_COLUMNS } from './task-columns.js';

const MICROSECONDS_PER_MS = 1000;

/** Takes a value for what it should be, or not: `undefined`. */
interface Reader<T> {
  readonly expected: string;
  readonly read: (value: unknown) => T | undefined;
}

const TEXT: Reader<string> = {
  expected: 'text',
  read: (value) => (typeof value === 'string' ? value : undefined),
};

const NUMBER: Reader<number> = {
  expected: 'a number',
  read: (value) => (typeof value === 'number' ? value : undefined),
};

const STATUS: Reader<TaskStatus> = {
  expected: TASK_STATUSES.join(', '),
  read: (value) => TASK_STATUSES.find((status) => status === value),
};

/** From whole microseconds, as `selectTime` has them. */
const DATE: Reader<Date> = {
  expected: 'a time',
  read: (value) => {
    if (!Number.isSafeInteger(value)) {
      return undefined;
    }
    const date = new Date(Math.floor(Number(value) / MICROSECONDS_PER_MS));
    return Number.isNaN(date.getTime()) ? undefined : date;
  },
};

const JSON_OBJECT: Reader<JsonObject> = {
  expected: 'a JSON object',
  read: (value) => (isJsonObject(value) ? value : undefined),
};

/** A task as `selectTask` selected it. */
type TaskValues = readonly unknown[];

function valuesOf(row: SqlRow): TaskValues {
  const values: unknown = JSON.parse(readText(row, 'task'));
  return Array.isArray(values) ? values : corrupt(row['task_id'], 'task', 'an array');
}

function field<T>(values: TaskValues, name: keyof Task, { read, expected }: Reader<T>): T {
  const value = read(values[FIELD_POSITIONS[name]]);
  return value === undefined
    ? corrupt(values[FIELD_POSITIONS.taskId], TASK_COLUMNS[name], expected)
    : value;
}

function optional<T>(values: TaskValues, name: keyof Task, reader: Reader<T>): T | null {
  return values[FIELD_POSITIONS[name]] === null ? null : field(values, name, reader);
}

/** @throws {TaskStorageError} `CORRUPT` when a column holds what the storage cannot understand */
export function readTask(row: SqlRow): Task {
  const values = valuesOf(row);
  // Not spread: V8 makes a slow dictionary of a large object to which names are added.
  return Object.assign(summaryOf(values), {
    requestData: optional(values, 'requestData', JSON_OBJECT),
    conversationHistory: optional(values, 'conversationHistory', JSON_OBJECT),
    sealedRequest: optional(values, 'sealedRequest', TEXT),
  });
}

/** @throws {TaskStorageError} `CORRUPT` when a column holds what the storage cannot understand */
export function readSummary(row: SqlRow): TaskSummary {
  return summaryOf(valuesOf(row));
}

function summaryOf(values: TaskValues): TaskSummary {
  return {
    taskId: field(values, 'taskId', TEXT),
    tenantId: field(values, 'tenantId', TEXT),
    status: field(values, 'status', STATUS),
    query: field(values, 'query', TEXT),
    maxSteps: field(values, 'maxSteps', NUMBER),
    finalState: optional(values, 'finalState', TEXT),
    timestampDir: optional(values, 'timestampDir', TEXT),
    executionStatistics: optional(values, 'executionStatistics', JSON_OBJECT),
    sandboxInfo: optional(values, 'sandboxInfo', JSON_OBJECT),
    result: optional(values, 'result', TEXT),
    error: optional(values, 'error', TEXT),
    leaseOwner: optional(values, 'leaseOwner', TEXT),
    leaseExpiresAt: optional(values, 'leaseExpiresAt', DATE),
    attempt: field(values, 'attempt', NUMBER),
    maxAttempts: field(values, 'maxAttempts', NUMBER),
    queuedAt: optional(values, 'queuedAt', DATE),
    version: field(values, 'version', NUMBER),
    lastEventSequence: field(values, 'lastEventSequence', NUMBER),
    createdAt: field(values, 'createdAt', DATE),
    updatedAt: field(values, 'updatedAt', DATE),
    startedAt: optional(values, 'startedAt', DATE),
    finishedAt: optional(values, 'finishedAt', DATE),
  };
}

/** Where a page ends that ends with this row of a list. */
export function readPagePosition(row: SqlRow): PagePosition {
  return {
    createdAtMicroseconds: String(readNumber(row, 'created_at_microseconds')),
    taskId: readText(row, 'task_id'),
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
    createdAt: column(row, 'created_at', DATE),
  };
}

function column<T>(row: SqlRow, name: string, { read, expected }: Reader<T>): T {
  return read(row[name]) ?? corrupt(row['task_id'], name, expected);
}

export function readStatus(row: SqlRow, name: string): TaskStatus {
  return column(row, name, STATUS);
}

export function readNumber(row: SqlRow, name: string): number {
  return column(row, name, NUMBER);
}

export function readText(row: SqlRow, name: string): string {
  return column(row, name, TEXT);
}

/** Reads a column that was selected as text. */
export function readJson(row: SqlRow, name: string): JsonObject {
  const value: unknown = JSON.parse(readText(row, name));
  return isJsonObject(value) ? value : corrupt(row['task_id'], name, JSON_OBJECT.expected);
}

/** Reads a column that may be empty. */
export function nullable<T>(
  row: SqlRow,
  name: string,
  read: (row: SqlRow, column: string) => T,
): T | null {
  return row[name] === null ? null : read(row, name);
}

/** What was parsed from JSON is JSON all the way down. */
function isJsonObject(value: unknown): value is JsonObject {
  return isPlainObject(value);
}

function corrupt(taskId: unknown, name: string, expected: string): never {
  throw new TaskStorageError(
    'CORRUPT',
    `Task ${String(taskId)}: the column ${name} does not hold ${expected}`,
  );
}
