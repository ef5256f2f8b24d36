import assert from 'node:assert/strict';
import type { NewTaskEvent } from '../task/task-event.js';
import type { ListTasksOptions, TaskOperations } from '../task/task-storage.js';
import {
  TASK_PAYLOAD_FIELDS,
  type NewTask,
  type Task,
  type TaskStatus,
  type TaskSummary,
} from '../task/task.js';

/** A task with nothing but what it must have. */
export function minimalTask(taskId: string, fields: Partial<NewTask> = {}): NewTask {
  return { taskId, query: 'Open the shop', maxSteps: 10, ...fields };
}

/** A task with every field that a new task can have. */
export function fullTask(taskId: string): NewTask {
  return {
    ...minimalTask(taskId),
    status: 'running',
    tenantId: 'tenant',
    timestampDir: 'runs/2026-01-01',
    executionStatistics: { steps: 3, cost: 0.25, currency_symbol: '€' },
    sandboxInfo: { id: 'sandbox', os: 2, shape_name: null },
    requestData: { runningConfig: { steps: 10, flags: [true, false, null] } },
    conversationHistory: { planner: [{ role: 'user', content: 'Open the shop' }, []] },
    sealedRequest: 'sealed:c2VjcmV0',
    maxAttempts: 3,
  };
}

/** One event. */
export function event(stage: string, message = `message of ${stage}`): NewTaskEvent {
  return { stage, message };
}

/** Creates a minimal task and leads it to the status. */
export async function createAs(
  storage: TaskOperations,
  taskId: string,
  status: TaskStatus,
  fields: Partial<NewTask> = {},
): Promise<void> {
  const starts = status === 'running' || status === 'finished' ? 'running' : 'pending';
  const created = await storage.createTask(minimalTask(taskId, { ...fields, status: starts }));
  assert.equal(created, true, `Creating ${taskId} must answer true`);
  if (status !== starts) {
    const updated = await storage.updateTask(taskId, { status });
    assert.equal(updated, true, `Updating ${taskId} to ${status} must answer true`);
  }
}

/** @returns the task as it is now, a copy of the answer; fails when it does not exist */
export async function existing(storage: TaskOperations, taskId: string): Promise<Task> {
  const task = await storage.getTask(taskId);
  assert.ok(task !== null, `Task ${taskId} must exist`);
  return structuredClone(task);
}

/** @returns what the summary of a task must be; fails when the task itself lacks a large field */
export function summaryOf(task: Task): TaskSummary {
  const summary: TaskSummary = { ...task };
  for (const field of TASK_PAYLOAD_FIELDS) {
    assert.ok(Object.hasOwn(summary, field), `A full task must have ${field}`);
    Reflect.deleteProperty(summary, field);
  }
  return summary;
}

/** The ids of tasks, in their order. */
export function idsOf(tasks: readonly TaskSummary[]): string[] {
  return tasks.map(({ taskId }) => taskId);
}

/** The ids of all tasks that exist, sorted. */
export async function storedIds(storage: TaskOperations): Promise<string[]> {
  return idsOf(await listByPages(storage, {}, 1000)).toSorted();
}

/** Follows the page tokens to the end. */
export async function listByPages(
  storage: TaskOperations,
  options: ListTasksOptions,
  pageSize: number,
): Promise<TaskSummary[]> {
  const found: TaskSummary[] = [];
  let pageToken: string | undefined;
  do {
    const page = await storage.listTasks({ ...options, limit: pageSize, pageToken });
    assert.ok(
      page.tasks.length <= pageSize,
      `A page of ${pageSize} has ${page.tasks.length} tasks`,
    );
    found.push(...page.tasks);
    pageToken = page.nextPageToken ?? undefined;
    assert.ok(found.length <= 100_000, 'The pages never end');
  } while (pageToken !== undefined);
  return found;
}
