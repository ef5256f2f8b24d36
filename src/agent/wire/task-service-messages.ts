import { z } from 'zod';
import type { JsonObject } from '../../task/json.js';
import type { TaskEvent } from '../../task/task-event.js';
import { MAX_INTEGER, MAX_PAGE_SIZE } from '../../task/value-parsers.js';
import type { TaskPage } from '../../task/task-storage.js';
import type { TerminalStatus } from '../../task/task-lifecycle.js';
import type { Task, TaskStatus, TaskSummary } from '../../task/task.js';
import { cutToBytes } from '../cut-text.js';
import { optionalEnum } from './request-parsing.js';
import { maskRequest } from './secrets.js';
import { isTaskId } from './task-id.js';
import { toTimestamp, type Timestamp } from './timestamp.js';

/* The messages of nestjs_task_storage.v1. */

const UNSPECIFIED = 'TASK_STATUS_UNSPECIFIED';

const WIRE_STATUSES = {
  pending: 'TASK_STATUS_PENDING',
  running: 'TASK_STATUS_RUNNING',
  finished: 'TASK_STATUS_FINISHED',
  error: 'TASK_STATUS_ERROR',
  cancelled: 'TASK_STATUS_CANCELLED',
} as const satisfies Record<TaskStatus, string>;

type WireStatus = (typeof WIRE_STATUSES)[TaskStatus];

const STATUSES: Readonly<Record<WireStatus, TaskStatus>> = {
  TASK_STATUS_PENDING: 'pending',
  TASK_STATUS_RUNNING: 'running',
  TASK_STATUS_FINISHED: 'finished',
  TASK_STATUS_ERROR: 'error',
  TASK_STATUS_CANCELLED: 'cancelled',
};

const TERMINAL_STATUSES: Readonly<Record<string, TerminalStatus>> = {
  TASK_STATUS_FINISHED: 'finished',
  TASK_STATUS_ERROR: 'error',
  TASK_STATUS_CANCELLED: 'cancelled',
};

const DEFAULT_PAGE_SIZE = 100;
const MAX_AGE_DAYS = 36_500;

/** Of each text in a list: the largest page must fit into the 4 MiB that clients take. */
const MAX_LISTED_TEXT_BYTES = 500;

const taskId = z
  .string()
  .default('')
  .refine(isTaskId, { error: 'is no id that a task can have; it must have 1 to 255 characters' });

const terminalStatus = z.unknown().transform((value, context) => {
  const status = typeof value === 'string' ? TERMINAL_STATUSES[value] : undefined;
  if (status === undefined) {
    const names = Object.keys(TERMINAL_STATUSES).join(', ');
    context.addIssue({ code: 'custom', message: `must be ${names}` });
    return z.NEVER;
  }
  return status;
});

function wholeNumber(maximum: number) {
  return z
    .int()
    .refine((value) => value >= 0 && value <= maximum, { error: `must be 0 to ${maximum}` });
}

/** A request that names a task. */
export const taskRequestSchema = z.object({ task_id: taskId });

export const listTasksSchema = z.object({
  page_size: z
    .int()
    .default(0)
    .refine((value) => value >= 0, { error: 'is negative; write how many tasks, or 0' })
    .transform((value) => (value === 0 ? DEFAULT_PAGE_SIZE : Math.min(value, MAX_PAGE_SIZE))),
  page_token: z
    .string()
    .optional()
    .transform((value) => (value === '' ? undefined : value)),
  status: optionalEnum(UNSPECIFIED, Object.values(WIRE_STATUSES)).transform((name) =>
    name === undefined ? undefined : STATUSES[name],
  ),
});

export const cleanupOldTasksSchema = z.object({
  older_than_days: wholeNumber(MAX_AGE_DAYS)
    .optional()
    .transform((value, context) => {
      if (value === undefined) {
        context.addIssue({
          code: 'custom',
          message: 'is missing; write how many days, or 0 to delete every ended task',
        });
        return z.NEVER;
      }
      return value;
    }),
  statuses: z
    .array(terminalStatus)
    .optional()
    .transform((statuses) => (statuses?.length === 0 ? undefined : statuses)),
  dry_run: z.boolean().default(false),
});

export const watchTaskSchema = z.object({
  task_id: taskId,
  after_sequence: wholeNumber(MAX_INTEGER).default(0),
});

export interface WireTask {
  task_id: string;
  tenant_id: string;
  status: WireStatus;
  query: string;
  max_steps: number;
  final_state: string | null;
  timestamp_dir: string | null;
  result: string | null;
  error: string | null;
  lease_owner: string | null;
  lease_expire_time: Timestamp | null;
  attempt: number;
  max_attempts: number;
  queue_time: Timestamp | null;
  version: number;
  last_event_sequence: number;
  create_time: Timestamp;
  update_time: Timestamp;
  start_time: Timestamp | null;
  finish_time: Timestamp | null;
  execution_statistics_json?: string | null;
  sandbox_info_json?: string | null;
  request_data_json?: string | null;
  conversation_history_json?: string | null;
}

export interface WireTaskPage {
  tasks: WireTask[];
  next_page_token: string;
  unreadable_tasks: { task_id: string; reason: string }[];
}

export interface WireTaskEvent {
  task_id: string;
  sequence: number;
  stage: string;
  message: string;
  status: WireStatus | typeof UNSPECIFIED;
  create_time: Timestamp;
}

function toOptionalTimestamp(time: Date | null): Timestamp | null {
  return time === null ? null : toTimestamp(time);
}

function toJsonText(value: JsonObject | null): string | null {
  return value === null ? null : JSON.stringify(value);
}

function toListedText(text: string | null): string | null {
  return text === null ? null : cutToBytes(text, MAX_LISTED_TEXT_BYTES);
}

/** A page of a list. What cannot be read is said, so that it is not taken for what is not there. */
export function toWireTaskPage(page: TaskPage<TaskSummary>): WireTaskPage {
  return {
    tasks: page.tasks.map(toListedTask),
    next_page_token: page.nextPageToken ?? '',
    unreadable_tasks: (page.unreadable ?? []).map(({ taskId: task_id, reason }) => ({
      task_id,
      reason,
    })),
  };
}

/** A task of a list, its long texts cut. */
function toListedTask(task: TaskSummary): WireTask {
  return {
    ...toWireTaskSummary(task),
    query: cutToBytes(task.query, MAX_LISTED_TEXT_BYTES),
    timestamp_dir: toListedText(task.timestampDir),
    result: toListedText(task.result),
    error: toListedText(task.error),
  };
}

function toWireTaskSummary(task: TaskSummary): WireTask {
  return {
    task_id: task.taskId,
    tenant_id: task.tenantId,
    status: WIRE_STATUSES[task.status],
    query: task.query,
    max_steps: task.maxSteps,
    final_state: task.finalState,
    timestamp_dir: task.timestampDir,
    result: task.result,
    error: task.error,
    lease_owner: task.leaseOwner,
    lease_expire_time: toOptionalTimestamp(task.leaseExpiresAt),
    attempt: task.attempt,
    max_attempts: task.maxAttempts,
    queue_time: toOptionalTimestamp(task.queuedAt),
    version: task.version,
    last_event_sequence: task.lastEventSequence,
    create_time: toTimestamp(task.createdAt),
    update_time: toTimestamp(task.updatedAt),
    start_time: toOptionalTimestamp(task.startedAt),
    finish_time: toOptionalTimestamp(task.finishedAt),
  };
}

export function toWireTask(task: Task): WireTask {
  // Assigned, because V8 makes a dictionary of an object that is spread and then given more keys.
  return Object.assign(toWireTaskSummary(task), {
    execution_statistics_json: toJsonText(task.executionStatistics),
    sandbox_info_json: toJsonText(task.sandboxInfo),
    // The original service stores requests with their secrets in clear.
    request_data_json: toJsonText(task.requestData && maskRequest(task.requestData)),
    conversation_history_json: toJsonText(task.conversationHistory),
  });
}

export function toWireTaskEvent(event: TaskEvent): WireTaskEvent {
  return {
    task_id: event.taskId,
    sequence: event.sequence,
    stage: event.stage,
    message: event.message,
    status: event.status === null ? UNSPECIFIED : WIRE_STATUSES[event.status],
    create_time: toTimestamp(event.createdAt),
  };
}
