import { InvalidTaskError } from './errors.js';
import {
  assertStorableText,
  copyUncheckedJson,
  isPlainObject,
  kindOf,
  type JsonObject,
} from './json.js';
import type { ListEventsOptions, NewTaskEvent } from './task-event.js';
import { ACTIVE_STATUSES, TERMINAL_STATUSES, type TerminalStatus } from './task-lifecycle.js';
import type {
  CleanupOptions,
  CreateTaskOptions,
  ListTasksOptions,
  UpdateTaskOptions,
} from './task-storage.js';
import { DEFAULT_TENANT_ID, TASK_STATUSES, type TaskStatus, type TaskUpdates } from './task.js';

/*
 * What comes into a storage, checked and copied. Every backend calls these first, which is what
 * makes them accept and refuse the same values.
 */

/** The largest value of a Postgres INTEGER. */
export const MAX_INTEGER = 2_147_483_647;

/** The most tasks or events that one call answers, and the most events that one call adds. */
export const MAX_PAGE_SIZE = 1000;

const DEFAULT_PAGE_SIZE = 100;
const MAX_AGE_DAYS = 36_500;
/** The width of the id columns of the original table. */
const MAX_ID_LENGTH = 255;
/** The width of its `final_state` column. */
const MAX_FINAL_STATE_LENGTH = 50;

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
  leaseOwner: string | null;
}

type FieldParsers<T> = {
  readonly [K in keyof T]-?: (value: unknown, field: string) => Exclude<T[K], undefined>;
};

function refuse(field: string, value: unknown, expected: string): never {
  throw new InvalidTaskError(field, `is ${kindOf(value)}; it must be ${expected}`);
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') {
    return refuse(field, value, 'text');
  }
  assertStorableText(value, field);
  return value;
}

/** Text whose length Postgres counts in characters, where JavaScript counts UTF-16 units. */
function shortText(maxLength: number) {
  return (value: unknown, field: string): string => {
    const parsed = text(value, field);
    if (parsed.length > maxLength && Array.from(parsed).length > maxLength) {
      throw new InvalidTaskError(field, `is longer than ${maxLength} characters`);
    }
    return parsed;
  };
}

function identifier(value: unknown, field: string): string {
  const parsed = shortText(MAX_ID_LENGTH)(value, field);
  if (parsed === '') {
    throw new InvalidTaskError(field, `is empty; it must have 1 to ${MAX_ID_LENGTH} characters`);
  }
  return parsed;
}

function wholeNumber(minimum: number, maximum: number) {
  return (value: unknown, field: string): number => {
    if (
      typeof value !== 'number' ||
      !Number.isInteger(value) ||
      value < minimum ||
      value > maximum
    ) {
      return refuse(field, value, `a whole number from ${minimum} to ${maximum}`);
    }
    return value;
  };
}

function boolean(value: unknown, field: string): boolean {
  return typeof value === 'boolean' ? value : refuse(field, value, 'true or false');
}

function oneOf<T extends string>(allowed: readonly T[]) {
  return (value: unknown, field: string): T => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) {
      const seen = typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : kindOf(value);
      throw new InvalidTaskError(field, `is ${seen}; it must be ${allowed.join(', ')}`);
    }
    return found;
  };
}

function nullable<T>(parse: (value: unknown, field: string) => T) {
  return (value: unknown, field: string): T | null => (value === null ? null : parse(value, field));
}

const limit = wholeNumber(1, MAX_PAGE_SIZE);
const version = wholeNumber(0, MAX_INTEGER);
const json = nullable(copyUncheckedJson);

const UPDATE_PARSERS: FieldParsers<TaskUpdates> = {
  status: oneOf(TASK_STATUSES),
  query: text,
  maxSteps: wholeNumber(1, MAX_INTEGER),
  finalState: nullable(shortText(MAX_FINAL_STATE_LENGTH)),
  timestampDir: nullable(text),
  executionStatistics: json,
  sandboxInfo: json,
  requestData: json,
  conversationHistory: json,
  result: nullable(text),
  error: nullable(text),
  leaseOwner: nullable(identifier),
};

const NEW_TASK_PARSERS: FieldParsers<ParsedNewTask> = {
  taskId: identifier,
  tenantId: identifier,
  status: oneOf(ACTIVE_STATUSES),
  query: UPDATE_PARSERS.query,
  maxSteps: UPDATE_PARSERS.maxSteps,
  timestampDir: UPDATE_PARSERS.timestampDir,
  executionStatistics: json,
  sandboxInfo: json,
  requestData: json,
  conversationHistory: json,
  leaseOwner: UPDATE_PARSERS.leaseOwner,
};

const NEW_TASK_DEFAULTS: Omit<ParsedNewTask, 'taskId' | 'tenantId' | 'query' | 'maxSteps'> = {
  status: 'pending',
  timestampDir: null,
  executionStatistics: null,
  sandboxInfo: null,
  requestData: null,
  conversationHistory: null,
  leaseOwner: null,
};

/** Fields of a task that exist, but that the caller does not set. */
const KEPT_BY_THE_STORAGE = new Set([
  'taskId',
  'tenantId',
  'version',
  'lastEventSequence',
  'createdAt',
  'updatedAt',
  'startedAt',
  'finishedAt',
]);

function assertRecord(value: unknown, field: string): asserts value is Record<string, unknown> {
  if (!isPlainObject(value)) {
    refuse(field, value, 'a plain object');
  }
}

function assertKnownFields(source: object, known: object, subject: string): void {
  for (const key of Reflect.ownKeys(source)) {
    if (typeof key === 'symbol' || !Object.hasOwn(known, key)) {
      throw new InvalidTaskError(
        String(key).slice(0, 80),
        typeof key === 'string' && KEPT_BY_THE_STORAGE.has(key)
          ? `is kept by the storage; leave it out of ${subject}`
          : `is not a field of ${subject}; known are ${Object.keys(known).join(', ')}`,
      );
    }
  }
}

/** Drops fields that are `undefined`, which is how TypeScript callers leave a field out. */
function definedFields(source: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined));
}

function parseFields<T extends object>(
  source: Record<string, unknown>,
  parsers: FieldParsers<T>,
): Partial<T> {
  const parsed: Partial<T> = {};
  for (const key in parsers) {
    if (Object.hasOwn(source, key)) {
      parsed[key] = parsers[key](source[key], key);
    }
  }
  return parsed;
}

/**
 * @param scope the tenant that the caller is bound to, or `null` when it may name any
 * @throws {InvalidTaskError} naming the field
 */
export function parseNewTask(task: unknown, scope: string | null): ParsedNewTask {
  assertRecord(task, 'task');
  assertKnownFields(task, NEW_TASK_PARSERS, 'a new task');
  const given = definedFields(task);
  const tenantId = given['tenantId'] ?? scope ?? DEFAULT_TENANT_ID;
  if (scope !== null && tenantId !== scope) {
    throw new InvalidTaskError('tenantId', 'is not the tenant of this storage; leave it out');
  }
  const complete = { ...NEW_TASK_DEFAULTS, ...given, tenantId };
  const parsed = parseFields<ParsedNewTask>(complete, NEW_TASK_PARSERS);
  const { taskId, query, maxSteps } = parsed;
  if (taskId === undefined || query === undefined || maxSteps === undefined) {
    const missing = ['taskId', 'query', 'maxSteps'].find((field) => !Object.hasOwn(parsed, field));
    throw new InvalidTaskError(missing ?? 'task', 'is missing');
  }
  return {
    ...NEW_TASK_DEFAULTS,
    tenantId: scope ?? DEFAULT_TENANT_ID,
    ...parsed,
    taskId,
    query,
    maxSteps,
  };
}

/** @throws {InvalidTaskError} naming the field */
export function parseTaskUpdates(updates: unknown): TaskUpdates {
  assertRecord(updates, 'updates');
  assertKnownFields(updates, UPDATE_PARSERS, 'an update');
  return parseFields<TaskUpdates>(definedFields(updates), UPDATE_PARSERS);
}

/** @throws {InvalidTaskError} when no task can have this id */
export function parseTaskId(taskId: unknown): string {
  return identifier(taskId, 'taskId');
}

/** @throws {InvalidTaskError} when no tenant can have this id */
export function parseTenantId(tenantId: unknown): string {
  return identifier(tenantId, 'tenantId');
}

/** @throws {InvalidTaskError} when no setting or exclusive work can have this name */
export function parseName(name: unknown): string {
  return identifier(name, 'name');
}

/** @throws {InvalidTaskError} naming the value inside the setting */
export function parseSettingValue(value: unknown): JsonObject {
  return copyUncheckedJson(value, 'value');
}

/** @throws {InvalidTaskError} when it is not a whole number from 0 on */
export function parseExpectedVersion(expectedVersion: unknown): number {
  return version(expectedVersion, 'expectedVersion');
}

const stage = identifier;

/** @throws {InvalidTaskError} naming the event */
export function parseEvents(events: readonly NewTaskEvent[] | undefined): NewTaskEvent[] {
  if (events === undefined) {
    return [];
  }
  if (!Array.isArray(events) || events.length > MAX_PAGE_SIZE) {
    throw new InvalidTaskError('events', `must be an array of at most ${MAX_PAGE_SIZE} events`);
  }
  return Array.from<unknown, NewTaskEvent>(events, (event, index) => {
    const field = `events[${index}]`;
    assertRecord(event, field);
    return {
      stage: stage(event['stage'], `${field}.stage`),
      message: text(event['message'], `${field}.message`),
    };
  });
}

/** @throws {InvalidTaskError} when there is none, or naming the event */
export function parseAppendedEvents(events: readonly NewTaskEvent[]): NewTaskEvent[] {
  const parsed = parseEvents(events);
  if (parsed.length === 0) {
    throw new InvalidTaskError('events', 'is empty; give at least one event');
  }
  return parsed;
}

/** @throws {InvalidTaskError} naming the option */
export function parseCreateOptions(options: CreateTaskOptions = {}): {
  maxActiveTasks: number | null;
  events: NewTaskEvent[];
} {
  return {
    maxActiveTasks:
      options.maxActiveTasks === undefined
        ? null
        : wholeNumber(0, MAX_INTEGER)(options.maxActiveTasks, 'maxActiveTasks'),
    events: parseEvents(options.events),
  };
}

/** @throws {InvalidTaskError} naming the option */
export function parseUpdateOptions(options: UpdateTaskOptions = {}): {
  expectedVersion: number | null;
  events: NewTaskEvent[];
} {
  return {
    expectedVersion:
      options.expectedVersion === undefined ? null : parseExpectedVersion(options.expectedVersion),
    events: parseEvents(options.events),
  };
}

/** @throws {InvalidTaskError} naming the option */
export function parseListOptions(options: ListTasksOptions = {}): {
  status: TaskStatus | null;
  limit: number;
  offset: number;
  pageToken: string | null;
  view: 'full' | 'summary';
} {
  const { status, offset, pageToken, view } = options;
  if (offset !== undefined && pageToken !== undefined) {
    throw new InvalidTaskError('offset', 'cannot be combined with pageToken; give one of them');
  }
  return {
    status: status === undefined ? null : oneOf(TASK_STATUSES)(status, 'status'),
    limit: limit(options.limit ?? DEFAULT_PAGE_SIZE, 'limit'),
    offset: wholeNumber(0, MAX_INTEGER)(offset ?? 0, 'offset'),
    pageToken: pageToken === undefined ? null : text(pageToken, 'pageToken'),
    view: oneOf(['full', 'summary'])(view ?? 'full', 'view'),
  };
}

/** @throws {InvalidTaskError} naming the option */
export function parseListEventsOptions(options: ListEventsOptions = {}): {
  afterSequence: number;
  limit: number;
} {
  return {
    afterSequence: wholeNumber(0, MAX_INTEGER)(options.afterSequence ?? 0, 'afterSequence'),
    limit: limit(options.limit ?? DEFAULT_PAGE_SIZE, 'limit'),
  };
}

/** @throws {InvalidTaskError} naming the argument */
export function parseCleanup(
  olderThanDays: unknown,
  options: CleanupOptions = {},
): {
  olderThanDays: number;
  statuses: readonly TerminalStatus[];
  limit: number | null;
  dryRun: boolean;
} {
  const statuses = options.statuses ?? TERMINAL_STATUSES;
  if (!Array.isArray(statuses)) {
    return refuse('statuses', statuses, `an array of ${TERMINAL_STATUSES.join(', ')}`);
  }
  return {
    olderThanDays: wholeNumber(0, MAX_AGE_DAYS)(olderThanDays, 'olderThanDays'),
    statuses: Array.from<unknown, TerminalStatus>(statuses, (status, index) =>
      oneOf(TERMINAL_STATUSES)(status, `statuses[${index}]`),
    ),
    limit: options.limit === undefined ? null : wholeNumber(1, MAX_INTEGER)(options.limit, 'limit'),
    dryRun: boolean(options.dryRun ?? false, 'dryRun'),
  };
}
