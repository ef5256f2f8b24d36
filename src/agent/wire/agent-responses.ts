import { TaskStorageError } from '../../task/errors.js';
import type { JsonObject, JsonValue } from '../../task/json.js';
import type { TaskEvent } from '../../task/task-event.js';
import { MAX_INTEGER } from '../../task/value-parsers.js';
import type { TerminalStatus } from '../../task/task-lifecycle.js';
import type { Task, TaskStatus, TaskSummary } from '../../task/task.js';
import type { Cancellation } from '../cancellation.js';
import { storableJson } from '../storable-text.js';
import { describeState, describeUnknown } from '../task-messages.js';
import { SANDBOX_OPERATING_SYSTEMS } from './agent-requests.js';
import { commonConfigSchema } from './common-config.js';
import { maskConfig } from './secrets.js';
import { toTimestamp, type Timestamp } from './timestamp.js';

/*
 * From stored tasks to the messages of lybic.agent. JSON that is stored was written by whatever
 * runner, or by the original service: what does not fit its field is left out.
 */

type WireStatus = 'PENDING' | 'RUNNING' | 'SUCCESS' | 'FAILURE' | 'NOT_FOUND' | 'CANCELLED';

export interface Sandbox {
  id?: string;
  shapeName?: string;
  os?: string;
}

export interface ExecutionStatistics {
  steps: number;
  durationSeconds: number;
  inputTokens: string;
  outputTokens: string;
  totalTokens: string;
  cost: number;
  currencySymbol: string;
}

export interface QueryTaskStatusResponse {
  taskId: string;
  status: WireStatus;
  message: string;
  result: string;
  sandbox?: Sandbox;
  executionStatistics?: ExecutionStatistics;
}

export interface TaskStream {
  taskId: string;
  stage: string;
  message: string;
  timestamp: Timestamp;
}

export interface CancelTaskResponse {
  taskId: string;
  success: boolean;
  message: string;
}

const WIRE_STATUSES: Readonly<Record<TaskStatus, WireStatus>> = {
  pending: 'PENDING',
  running: 'RUNNING',
  finished: 'SUCCESS',
  error: 'FAILURE',
  cancelled: 'CANCELLED',
};

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function numberOf(value: JsonValue | undefined): number {
  const parsed = typeof value === 'string' ? Number(value) : value;
  return typeof parsed === 'number' && Number.isFinite(parsed) ? parsed : 0;
}

function int32Of(value: JsonValue | undefined): number {
  return Math.max(-MAX_INTEGER, Math.min(MAX_INTEGER, Math.round(numberOf(value))));
}

/** Protobuf's JSON form writes int64 as text, which keeps what a number would round. */
function int64Of(value: JsonValue | undefined): string {
  const parsed =
    typeof value === 'string' && /^-?\d+$/.test(value)
      ? BigInt(value)
      : BigInt(Math.round(numberOf(value)));
  return String(BigInt.asIntN(64, parsed) === parsed ? parsed : 0n);
}

function toSandbox(info: JsonObject): Sandbox {
  const { id, os, shape_name: shapeName } = info;
  const operatingSystem =
    typeof os === 'number' ? SANDBOX_OPERATING_SYSTEMS[os] : SANDBOX_OPERATING_SYSTEMS[0];
  return {
    id: textOf(id),
    shapeName: textOf(shapeName),
    os: operatingSystem ?? SANDBOX_OPERATING_SYSTEMS[0],
  };
}

function toExecutionStatistics(statistics: JsonObject): ExecutionStatistics {
  return {
    steps: int32Of(statistics['steps']),
    durationSeconds: int32Of(statistics['duration_seconds']),
    inputTokens: int64Of(statistics['input_tokens']),
    outputTokens: int64Of(statistics['output_tokens']),
    totalTokens: int64Of(statistics['total_tokens']),
    cost: numberOf(statistics['cost']),
    currencySymbol: textOf(statistics['currency_symbol']),
  };
}

export function toQueryTaskStatusResponse(task: TaskSummary): QueryTaskStatusResponse {
  const { taskId, status, result, sandboxInfo, executionStatistics } = task;
  return {
    taskId,
    status: WIRE_STATUSES[status],
    message: describeState(task),
    result: result ?? '',
    ...(sandboxInfo !== null && { sandbox: toSandbox(sandboxInfo) }),
    ...(executionStatistics !== null && {
      executionStatistics: toExecutionStatistics(executionStatistics),
    }),
  };
}

/** Clients rely on this being an answer and not an error. */
export function unknownTaskResponse(taskId: string): QueryTaskStatusResponse {
  return {
    taskId,
    status: 'NOT_FOUND',
    message: describeUnknown(taskId),
    result: '',
  };
}

export function toCancelTaskResponse(
  taskId: string,
  cancellation: Cancellation,
): CancelTaskResponse {
  if (cancellation.kind === 'unknown') {
    return { taskId, success: false, message: describeUnknown(taskId) };
  }
  return cancellation.kind === 'cancelled'
    ? { taskId, success: true, message: `Task ${taskId} was cancelled.` }
    : { taskId, ...ENDED_BEFORE[cancellation.status](taskId) };
}

const ENDED_BEFORE: Readonly<
  Record<TerminalStatus, (taskId: string) => { success: boolean; message: string }>
> = {
  finished: (taskId) => ({ success: false, message: `Task ${taskId} has already finished.` }),
  error: (taskId) => ({ success: false, message: `Task ${taskId} has already failed.` }),
  cancelled: (taskId) => ({ success: true, message: `Task ${taskId} was already cancelled.` }),
};

/**
 * The configuration that a task was submitted with, its keys masked; only the id when it had none.
 *
 * @throws {TaskStorageError} `CORRUPT` when the stored one is not a configuration
 */
export function toCommonConfig(task: Task): JsonObject {
  const runningConfig = task.requestData?.['runningConfig'] ?? null;
  if (runningConfig === null) {
    return { id: task.taskId };
  }
  const parsed = commonConfigSchema.safeParse(runningConfig);
  if (!parsed.success) {
    throw new TaskStorageError(
      'CORRUPT',
      `The runningConfig of task ${task.taskId} is not a configuration`,
      { cause: parsed.error },
    );
  }
  return maskConfig(storableJson(parsed.data, 'runningConfig'));
}

export function toTaskStream(event: TaskEvent): TaskStream {
  const { taskId, stage, message, createdAt } = event;
  return { taskId, stage, message, timestamp: toTimestamp(createdAt) };
}
