import { UnreadableTaskError } from '../../task/errors.js';
import { isPlainObject, kindOf, type JsonObject } from '../../task/json.js';
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

/** What counts something. */
const COUNT: Reader<number> = {
  expected: 'a number that is not negative',
  read: (value) => (typeof value === 'number' && value >= 0 ? value : undefined),
};

const STATUS: Reader<TaskStatus> = {
  expected: `one of ${TASK_STATUSES.join(', ')}`,
  read: (value) => TASK_STATUSES.find((status) => status === value),
};

/**
 * From microseconds, as `selectTime` has them: a number within JSON, and text in a column of its own.
 * What a number cannot hold exactly is refused too.
 */
const DATE: Reader<Date> = {
  expected: 'a time of the years 1685 to 2255',
  read: (value) => {
    const microseconds = value === null ? NaN : Number(value);
    return Number.isSafeInteger(microseconds)
      ? new Date(Math.floor(microseconds / MICROSECONDS_PER_MS))
      : undefined;
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
  return Array.isArray(values) ? values : corrupt(row['task_id'], 'task', 'an array', values);
}

function field<T>(values: TaskValues, name: keyof Task, { read, expected }: Reader<T>): T {
  const found = values[FIELD_POSITIONS[name]];
  const value = read(found);
  return value === undefined
    ? corrupt(values[FIELD_POSITIONS.taskId], TASK_COLUMNS[name], expected, found)
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
    // The original service does not check it.
    maxSteps: field(values, 'maxSteps', NUMBER),
    finalState: optional(values, 'finalState', TEXT),
    timestampDir: optional(values, 'timestampDir', TEXT),
    executionStatistics: optional(values, 'executionStatistics', JSON_OBJECT),
    sandboxInfo: optional(values, 'sandboxInfo', JSON_OBJECT),
    result: optional(values, 'result', TEXT),
    error: optional(values, 'error', TEXT),
    leaseOwner: optional(values, 'leaseOwner', TEXT),
    leaseExpiresAt: optional(values, 'leaseExpiresAt', DATE),
    attempt: field(values, 'attempt', COUNT),
    maxAttempts: field(values, 'maxAttempts', COUNT),
    queuedAt: optional(values, 'queuedAt', DATE),
    version: field(values, 'version', COUNT),
    lastEventSequence: field(values, 'lastEventSequence', COUNT),
    createdAt: field(values, 'createdAt', DATE),
    updatedAt: field(values, 'updatedAt', DATE),
    startedAt: optional(values, 'startedAt', DATE),
    finishedAt: optional(values, 'finishedAt', DATE),
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
  return read(row[name]) ?? corrupt(row['task_id'], name, expected, row[name]);
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

/** Reads a column that may be empty. */
export function nullable<T>(
  row: SqlRow,
  name: string,
  read: (row: SqlRow, column: string) => T,
): T | null {
  return row[name] === null ? null : read(row, name);
}

/** What was parsed from JSON is JSON all the way down. */
export function isJsonObject(value: unknown): value is JsonObject {
  return isPlainObject(value);
}

/** Says what kind of value there is and not which, because it may be confidential, and large. */
function corrupt(taskId: unknown, name: string, expected: string, found: unknown): never {
  throw new UnreadableTaskError(
    String(taskId),
    `the column ${name} holds ${kindOf(found)}, which is not ${expected}`,
  );
}
