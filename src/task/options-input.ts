import { InvalidTaskError } from './errors.js';
import type { ListEventsOptions, NewTaskEvent } from './task-event.js';
import { parseExpectedVersion, type ParsedNewTask } from './task-input.js';
import { TERMINAL_STATUSES, type TerminalStatus } from './task-lifecycle.js';
import { parseHeldLease, parseLeaseTerm } from './lease-input.js';
import type { LeaseTerm } from './task-lease.js';
import type {
  AppendEventsOptions,
  CleanupOptions,
  CreateTaskOptions,
  GetTaskOptions,
  ListTasksOptions,
  TaskView,
  UpdateTaskOptions,
} from './task-storage.js';
import { TASK_STATUSES, type TaskStatus } from './task.js';
import type { WriteGuards } from './write-guards.js';
import {
  assertOptions,
  assertRecord,
  boolean,
  identifier,
  MAX_INTEGER,
  MAX_PAGE_SIZE,
  oneOf,
  optionalCount,
  refuse,
  text,
  wholeNumber,
} from './value-parsers.js';

/* The events and options of the operations, checked and copied. */

const DEFAULT_PAGE_SIZE = 100;
const MAX_AGE_DAYS = 36_500;

const limit = wholeNumber(1, MAX_PAGE_SIZE);
const oneOfViews = oneOf<TaskView>(['full', 'summary']);
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

/** The options of `createTask`; `null` where there is no limit and no lease. */
export interface ParsedCreateOptions {
  readonly maxActiveTasks: number | null;
  readonly maxActiveTasksPerTenant: number | null;
  readonly lease: LeaseTerm | null;
  readonly queue: boolean;
  readonly events: NewTaskEvent[];
}

/** @throws {InvalidTaskError} naming the option */
export function parseCreateOptions(options: CreateTaskOptions = {}): ParsedCreateOptions {
  assertOptions(options, ['maxActiveTasks', 'maxActiveTasksPerTenant', 'lease', 'queue', 'events']);
  const parsed = {
    maxActiveTasks: optionalCount(options.maxActiveTasks, 'maxActiveTasks'),
    maxActiveTasksPerTenant: optionalCount(
      options.maxActiveTasksPerTenant,
      'maxActiveTasksPerTenant',
    ),
    lease: options.lease === undefined ? null : parseLeaseTerm(options.lease, 'lease'),
    queue: options.queue === undefined ? false : boolean(options.queue, 'queue'),
    events: parseEvents(options.events),
  };
  if (parsed.queue && parsed.lease !== null) {
    throw new InvalidTaskError('queue', 'cannot be combined with lease; give one of them');
  }
  return parsed;
}

/** @throws {InvalidTaskError} when the task is to be queued, and is not one that waits */
export function assertQueueable(
  { status }: Pick<ParsedNewTask, 'status'>,
  { queue }: Pick<ParsedCreateOptions, 'queue'>,
): void {
  if (queue && status !== 'pending') {
    throw new InvalidTaskError('queue', `takes a pending task only; this one is ${status}`);
  }
}

/** @throws {InvalidTaskError} naming the option */
export function parseGetOptions(options: GetTaskOptions = {}): { view: TaskView } {
  assertOptions(options, ['view']);
  return { view: parseView(options.view) };
}

function parseView(view: TaskView | undefined): TaskView {
  return oneOfViews(view ?? 'full', 'view');
}

/** The options of `updateTask`; `null` where nothing is expected. */
export interface ParsedUpdateOptions extends WriteGuards {
  readonly expectedVersion: number | null;
  readonly events: NewTaskEvent[];
}

/** @throws {InvalidTaskError} naming the option */
export function parseUpdateOptions(options: UpdateTaskOptions = {}): ParsedUpdateOptions {
  assertOptions(options, ['expectedVersion', 'lease', 'expectedSequence', 'events']);
  return {
    expectedVersion:
      options.expectedVersion === undefined ? null : parseExpectedVersion(options.expectedVersion),
    ...parseGuards(options),
    events: parseEvents(options.events),
  };
}

function parseGuards({ lease, expectedSequence }: AppendEventsOptions): WriteGuards {
  return {
    lease: lease === undefined ? null : parseHeldLease(lease, 'lease'),
    expectedSequence: optionalCount(expectedSequence, 'expectedSequence'),
  };
}

/** @throws {InvalidTaskError} naming the option */
export function parseAppendOptions(options: AppendEventsOptions = {}): WriteGuards {
  assertOptions(options, ['lease', 'expectedSequence']);
  return parseGuards(options);
}

/** @throws {InvalidTaskError} naming the option */
export function parseListOptions(options: ListTasksOptions = {}): {
  status: TaskStatus | null;
  limit: number;
  offset: number;
  pageToken: string | null;
  view: TaskView;
} {
  assertOptions(options, ['status', 'limit', 'offset', 'pageToken', 'view']);
  const { status, offset, pageToken, view } = options;
  if (offset !== undefined && pageToken !== undefined) {
    throw new InvalidTaskError('offset', 'cannot be combined with pageToken; give one of them');
  }
  return {
    status: status === undefined ? null : oneOf(TASK_STATUSES)(status, 'status'),
    limit: limit(options.limit ?? DEFAULT_PAGE_SIZE, 'limit'),
    offset: wholeNumber(0, MAX_INTEGER)(offset ?? 0, 'offset'),
    pageToken: pageToken === undefined ? null : text(pageToken, 'pageToken'),
    view: parseView(view),
  };
}

/** @throws {InvalidTaskError} naming the option */
export function parseListEventsOptions(options: ListEventsOptions = {}): {
  afterSequence: number;
  limit: number;
} {
  assertOptions(options, ['afterSequence', 'limit']);
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
  assertOptions(options, ['statuses', 'limit', 'dryRun']);
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
    dryRun: options.dryRun === undefined ? false : boolean(options.dryRun, 'dryRun'),
  };
}
