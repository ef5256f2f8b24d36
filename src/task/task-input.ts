import { InvalidTaskError } from './errors.js';
import { copyUncheckedJson, type JsonObject } from './json.js';
import { ACTIVE_STATUSES } from './task-lifecycle.js';
import { DEFAULT_TENANT_ID, TASK_STATUSES, type TaskUpdates } from './task.js';
import {
  assertRecord,
  identifier,
  jsonObject,
  MAX_INTEGER,
  nullable,
  oneOf,
  shortText,
  text,
  wholeNumber,
} from './value-parsers.js';

/*
 * The tasks, changes and names that come into a storage, checked and copied. Every backend calls
 * these first, which is what makes them accept and refuse the same.
 */

/** The width of the `final_state` column of the original table. */
const MAX_FINAL_STATE_LENGTH = 50;

/** More is a task that fails for ever. */
const MAX_ATTEMPTS = 1000;

/** A task that can be stored as it is. */
export interface ParsedNewTask {
  taskId: string;
  tenantId: string;
  status: 'pending' | 'running';
  query: string;
  maxSteps: number;
  timestampDir: string | null;
  executionStatistics: JsonObject | null;
  sandboxInfo: JsonObject | null;
  requestData: JsonObject | null;
  conversationHistory: JsonObject | null;
  sealedRequest: string | null;
  maxAttempts: number;
}

type FieldParsers<T> = {
  readonly [K in keyof T]-?: (value: unknown, field: string) => Exclude<T[K], undefined>;
};

const UPDATE_PARSERS: FieldParsers<TaskUpdates> = {
  status: oneOf(TASK_STATUSES),
  query: text,
  maxSteps: wholeNumber(1, MAX_INTEGER),
  finalState: nullable(shortText(MAX_FINAL_STATE_LENGTH)),
  timestampDir: nullable(text),
  executionStatistics: jsonObject,
  sandboxInfo: jsonObject,
  requestData: jsonObject,
  conversationHistory: jsonObject,
  result: nullable(text),
  error: nullable(text),
};

const NEW_TASK_PARSERS: FieldParsers<ParsedNewTask> = {
  taskId: identifier,
  tenantId: identifier,
  status: oneOf(ACTIVE_STATUSES),
  query: UPDATE_PARSERS.query,
  maxSteps: UPDATE_PARSERS.maxSteps,
  timestampDir: UPDATE_PARSERS.timestampDir,
  executionStatistics: jsonObject,
  sandboxInfo: jsonObject,
  requestData: jsonObject,
  conversationHistory: jsonObject,
  sealedRequest: nullable(text),
  maxAttempts: wholeNumber(1, MAX_ATTEMPTS),
};

/** Fields of a task that exist, but that the caller does not set. */
const KEPT_BY_THE_STORAGE = new Set([
  'taskId',
  'tenantId',
  'leaseOwner',
  'leaseExpiresAt',
  'attempt',
  'queuedAt',
  'version',
  'lastEventSequence',
  'createdAt',
  'updatedAt',
  'startedAt',
  'finishedAt',
]);

/** @throws {InvalidTaskError} when the key is not among the known fields */
function assertKnownField<T extends object>(
  key: string | symbol,
  known: T,
  subject: string,
): asserts key is Extract<keyof T, string> {
  if (typeof key === 'symbol' || !Object.hasOwn(known, key)) {
    throw new InvalidTaskError(
      String(key).slice(0, 80),
      typeof key === 'string' && KEPT_BY_THE_STORAGE.has(key)
        ? `is kept by the storage; leave it out of ${subject}`
        : `is not a field of ${subject}; known are ${Object.keys(known).join(', ')}`,
    );
  }
}

/** Leaves out fields that are `undefined`, which is how TypeScript callers leave a field out. */
function parseFields<T extends object>(
  source: Record<string, unknown>,
  parsers: FieldParsers<T>,
  subject: string,
): Partial<T> {
  const parsed: Partial<T> = {};
  for (const key of Reflect.ownKeys(source)) {
    assertKnownField(key, parsers, subject);
    const value = source[key];
    if (value !== undefined) {
      parsed[key] = parsers[key](value, key);
    }
  }
  return parsed;
}

/** @param unset what a field is that was left out; without it, the field must be given */
function parseField<T>(
  given: Readonly<Record<string, unknown>>,
  field: string,
  parse: (value: unknown, field: string) => T,
  unset?: T,
): T {
  const value = given[field];
  if (value !== undefined) {
    return parse(value, field);
  }
  if (unset === undefined) {
    throw new InvalidTaskError(field, 'is missing');
  }
  return unset;
}

/**
 * @param scope the tenant that the caller is bound to, or `null` when it may name any
 * @throws {InvalidTaskError} naming the field
 */
export function parseNewTask(task: unknown, scope: string | null): ParsedNewTask {
  assertRecord(task, 'task');
  for (const key of Reflect.ownKeys(task)) {
    assertKnownField(key, NEW_TASK_PARSERS, 'a new task');
  }
  const tenantId = task['tenantId'] ?? scope ?? DEFAULT_TENANT_ID;
  if (scope !== null && tenantId !== scope) {
    throw new InvalidTaskError('tenantId', 'is not the tenant of this storage; leave it out');
  }
  const parsers = NEW_TASK_PARSERS;
  // One object, because V8 makes a slow dictionary of a large one to which names are added.
  return {
    taskId: parseField(task, 'taskId', parsers.taskId),
    tenantId: parsers.tenantId(tenantId, 'tenantId'),
    status: parseField(task, 'status', parsers.status, 'pending'),
    query: parseField(task, 'query', parsers.query),
    maxSteps: parseField(task, 'maxSteps', parsers.maxSteps),
    timestampDir: parseField(task, 'timestampDir', parsers.timestampDir, null),
    executionStatistics: parseField(task, 'executionStatistics', parsers.executionStatistics, null),
    sandboxInfo: parseField(task, 'sandboxInfo', parsers.sandboxInfo, null),
    requestData: parseField(task, 'requestData', parsers.requestData, null),
    conversationHistory: parseField(task, 'conversationHistory', parsers.conversationHistory, null),
    sealedRequest: parseField(task, 'sealedRequest', parsers.sealedRequest, null),
    maxAttempts: parseField(task, 'maxAttempts', parsers.maxAttempts, 1),
  };
}

/** @throws {InvalidTaskError} naming the field */
export function parseTaskUpdates(updates: unknown): TaskUpdates {
  assertRecord(updates, 'updates');
  return parseFields<TaskUpdates>(updates, UPDATE_PARSERS, 'an update');
}

/** @throws {InvalidTaskError} when no task can have this id */
export function parseTaskId(taskId: unknown): string {
  return identifier(taskId, 'taskId');
}

/** @throws {InvalidTaskError} when no tenant can have this id */
export function parseTenantId(tenantId: unknown): string {
  return identifier(tenantId, 'tenantId');
}

/** @throws {InvalidTaskError} when no exclusive work can have this name */
export function parseName(name: unknown): string {
  return identifier(name, 'name');
}

/** Settings that the storages keep for themselves have names that begin so. */
export const RESERVED_SETTING_PREFIX = 'nestjs-task-storage:';

/** @throws {InvalidTaskError} when no setting can have this name, or the storage keeps it for itself */
export function parseSettingName(name: unknown): string {
  const parsed = parseName(name);
  if (parsed.startsWith(RESERVED_SETTING_PREFIX)) {
    throw new InvalidTaskError(
      'name',
      `begins with ${RESERVED_SETTING_PREFIX}, which is reserved; choose another`,
    );
  }
  return parsed;
}

/** @throws {InvalidTaskError} naming the value inside the setting */
export function parseSettingValue(value: unknown): JsonObject {
  return copyUncheckedJson(value, 'value');
}

/** @throws {InvalidTaskError} when it is not a whole number from 0 on */
export function parseExpectedVersion(expectedVersion: unknown): number {
  return wholeNumber(0, MAX_INTEGER)(expectedVersion, 'expectedVersion');
}
