import { copyJson, type JsonObject } from '../../task/json.js';
import type { TaskEvent } from '../../task/task-event.js';
import type { Task, TaskSummary } from '../../task/task.js';

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

function copyOptionalJson(value: JsonObject | null): JsonObject | null {
  return value === null ? null : copyJson(value);
}

function copyDate(date: Date | null): Date | null {
  return date === null ? null : new Date(date);
}

/** @returns a copy without the JSON fields, not even as `undefined` */
export function copySummary(task: TaskSummary): TaskSummary {
  return {
    taskId: task.taskId,
    tenantId: task.tenantId,
    status: task.status,
    query: task.query,
    maxSteps: task.maxSteps,
    finalState: task.finalState,
    timestampDir: task.timestampDir,
    result: task.result,
    error: task.error,
    leaseOwner: task.leaseOwner,
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
  return {
    ...copySummary(task),
    executionStatistics: copyOptionalJson(task.executionStatistics),
    sandboxInfo: copyOptionalJson(task.sandboxInfo),
    requestData: copyOptionalJson(task.requestData),
    conversationHistory: copyOptionalJson(task.conversationHistory),
  };
}

/** @returns a copy */
export function copyEvent(event: TaskEvent): TaskEvent {
  return { ...event, createdAt: new Date(event.createdAt) };
}
