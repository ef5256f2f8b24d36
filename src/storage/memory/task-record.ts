import { copyJson, type JsonObject } from '../../task/json.js';
import type { ParsedCreateOptions } from '../../task/options-input.js';
import type { NewTaskEvent, TaskEvent } from '../../task/task-event.js';
import type { ParsedNewTask } from '../../task/task-input.js';
import type { LeaseTerm } from '../../task/task-lease.js';
import type { TaskView } from '../../task/task-storage.js';
import { isTerminal } from '../../task/task-lifecycle.js';
import type { Task, TaskStatus, TaskSummary, TaskUpdates } from '../../task/task.js';

/** A task as the memory holds it; `task` is replaced as a whole, never changed in place. */
export interface TaskRecord {
  readonly taskId: string;
  readonly createdAtMs: number;
  task: Task;
  /** The event with sequence `n` stands at `n - 1`. */
  readonly events: TaskEvent[];
  ended: EndedTask | null;
}

/** The end of a task, in the order of the ends. */
export interface EndedTask {
  readonly endedAtMs: number;
  /** Tells apart what ended in the same millisecond. */
  readonly order: number;
  readonly record: TaskRecord;
}

/** @returns the record of a task that is created now */
export function createRecord(
  task: ParsedNewTask,
  { lease, queue, events }: Pick<ParsedCreateOptions, 'lease' | 'queue' | 'events'>,
  now: Date,
): TaskRecord {
  // The spread comes last, because V8 makes a slow dictionary of what is spread first.
  const unclaimed: Task = {
    finalState: null,
    result: null,
    error: null,
    leaseOwner: null,
    leaseExpiresAt: null,
    attempt: 0,
    queuedAt: queue ? now : null,
    version: 1,
    lastEventSequence: events.length,
    createdAt: now,
    updatedAt: now,
    startedAt: task.status === 'running' ? now : null,
    finishedAt: null,
    ...task,
  };
  const record: TaskRecord = {
    taskId: task.taskId,
    createdAtMs: now.getTime(),
    task: lease === null ? unclaimed : { ...unclaimed, ...leaseFields(unclaimed, lease, now) },
    events: [],
    ended: null,
  };
  addEvents(record, events, now, task.status);
  return record;
}

/** What a claim changes about a task, its version aside, which is 1 when a task is created. */
export function leaseFields(
  { attempt }: Task,
  { owner, leaseMs }: LeaseTerm,
  now: Date,
): Pick<Task, 'leaseOwner' | 'leaseExpiresAt' | 'attempt'> {
  return {
    leaseOwner: owner,
    leaseExpiresAt: new Date(now.getTime() + leaseMs),
    attempt: attempt + 1,
  };
}

/** @returns the task as it is after the update, the sequence of its events aside */
export function updatedTask(task: Task, updates: TaskUpdates, now: Date): Task {
  const { status } = updates;
  const ends = status !== undefined && isTerminal(status);
  return {
    ...task,
    query: updates.query ?? task.query,
    maxSteps: updates.maxSteps ?? task.maxSteps,
    finalState: given(updates.finalState, task.finalState),
    timestampDir: given(updates.timestampDir, task.timestampDir),
    executionStatistics: given(updates.executionStatistics, task.executionStatistics),
    sandboxInfo: given(updates.sandboxInfo, task.sandboxInfo),
    requestData: given(updates.requestData, task.requestData),
    conversationHistory: given(updates.conversationHistory, task.conversationHistory),
    result: given(updates.result, task.result),
    error: given(updates.error, task.error),
    status: status ?? task.status,
    version: task.version + 1,
    updatedAt: now,
    startedAt: status === 'running' ? now : task.startedAt,
    ...(ends ? { sealedRequest: null, leaseOwner: null, leaseExpiresAt: null } : {}),
    finishedAt: ends ? now : task.finishedAt,
  };
}

function given<T>(value: T | undefined, current: T): T {
  return value === undefined ? current : value;
}

/** @param status what the last of the events carries */
export function addEvents(
  record: TaskRecord,
  events: readonly NewTaskEvent[],
  now: Date,
  status: TaskStatus | null,
): void {
  for (const [index, { stage, message }] of events.entries()) {
    const event: TaskEvent = {
      taskId: record.taskId,
      sequence: record.events.length + 1,
      stage,
      message,
      status: index === events.length - 1 ? status : null,
      createdAt: now,
    };
    record.events.push(event);
  }
}

function copyOptionalJson(value: JsonObject | null): JsonObject | null {
  return value === null ? null : copyJson(value);
}

function copyDate(date: Date | null): Date | null {
  return date === null ? null : new Date(date);
}

/** @returns a copy of the task, or of its summary: without the large fields, not even as `undefined` */
export function copyAs(view: TaskView, task: Task): TaskSummary {
  return view === 'full' ? copyTask(task) : copySummary(task);
}

function copySummary(task: TaskSummary): TaskSummary {
  return {
    taskId: task.taskId,
    tenantId: task.tenantId,
    status: task.status,
    query: task.query,
    maxSteps: task.maxSteps,
    finalState: task.finalState,
    timestampDir: task.timestampDir,
    executionStatistics: copyOptionalJson(task.executionStatistics),
    sandboxInfo: copyOptionalJson(task.sandboxInfo),
    result: task.result,
    error: task.error,
    leaseOwner: task.leaseOwner,
    leaseExpiresAt: copyDate(task.leaseExpiresAt),
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    queuedAt: copyDate(task.queuedAt),
    version: task.version,
    lastEventSequence: task.lastEventSequence,
    createdAt: new Date(task.createdAt),
    updatedAt: new Date(task.updatedAt),
    startedAt: copyDate(task.startedAt),
    finishedAt: copyDate(task.finishedAt),
  };
}

/** @returns a copy down to the last value */
export function copyTask(task: Task): Task {
  // Assigned, because V8 makes a dictionary of an object that is spread and then given more keys,
  // which takes longer than all else here.
  return Object.assign(copySummary(task), {
    requestData: copyOptionalJson(task.requestData),
    conversationHistory: copyOptionalJson(task.conversationHistory),
    sealedRequest: task.sealedRequest,
  });
}

/** @returns a copy */
export function copyEvent(event: TaskEvent): TaskEvent {
  return { ...event, createdAt: new Date(event.createdAt) };
}
