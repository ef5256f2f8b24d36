import type { PageFilter } from '../../task/page-token.js';
import type { ListEventsOptions, NewTaskEvent, TaskEvent } from '../../task/task-event.js';
import { parseNewTask, parseTaskId, parseTaskUpdates } from '../../task/task-input.js';
import {
  assertQueueable,
  parseAppendedEvents,
  parseAppendOptions,
  parseCleanup,
  parseCreateOptions,
  parseGetOptions,
  parseListEventsOptions,
  parseListOptions,
  parseUpdateOptions,
} from '../../task/options-input.js';
import type {
  AppendEventsOptions,
  CleanupOptions,
  CreateTaskOptions,
  GetTaskOptions,
  ListTasksOptions,
  TaskOperations,
  TaskPage,
  UpdateTaskOptions,
} from '../../task/task-storage.js';
import type { NewTask, Task, TaskSummary, TaskUpdates } from '../../task/task.js';
import type { Memory } from './memory.js';
import type { TaskKey } from './task-index.js';
import { copyAs, copyEvent, type TaskRecord } from './task-record.js';
import type { TenantScope } from './task-table.js';

const MICROSECONDS_PER_MS = 1000;

/** The operations on one memory, over all tenants or through one: checks and copies. */
export class MemoryTaskOperations implements TaskOperations {
  constructor(
    protected readonly memory: Memory,
    private readonly scope: TenantScope,
  ) {}

  async createTask(task: NewTask, options?: CreateTaskOptions): Promise<boolean> {
    const { tasks } = this.memory.open();
    const parsed = parseNewTask(task, this.scope);
    const parsedOptions = parseCreateOptions(options);
    assertQueueable(parsed, parsedOptions);
    return tasks.create(parsed, parsedOptions);
  }

  getTask(
    taskId: string,
    options: GetTaskOptions & { view: 'summary' },
  ): Promise<TaskSummary | null>;
  getTask(
    taskId: string,
    options?: GetTaskOptions & { view?: 'full' | undefined },
  ): Promise<Task | null>;
  getTask(taskId: string, options?: GetTaskOptions): Promise<TaskSummary | null>;
  async getTask(taskId: string, options?: GetTaskOptions): Promise<TaskSummary | null> {
    const { tasks } = this.memory.open();
    const id = parseTaskId(taskId);
    const { view } = parseGetOptions(options);
    const record = tasks.find(id, this.scope);
    return record === undefined ? null : copyAs(view, record.task);
  }

  async updateTask(
    taskId: string,
    updates: TaskUpdates,
    options?: UpdateTaskOptions,
  ): Promise<boolean> {
    const { tasks } = this.memory.open();
    const id = parseTaskId(taskId);
    const parsed = parseTaskUpdates(updates);
    const parsedOptions = parseUpdateOptions(options);
    const record = tasks.find(id, this.scope);
    if (record === undefined) {
      return false;
    }
    tasks.update(record, parsed, parsedOptions);
    return true;
  }

  async deleteTask(taskId: string): Promise<boolean> {
    const { tasks } = this.memory.open();
    const record = tasks.find(parseTaskId(taskId), this.scope);
    if (record === undefined) {
      return false;
    }
    tasks.delete(record);
    return true;
  }

  listTasks(options: ListTasksOptions & { view: 'summary' }): Promise<TaskPage<TaskSummary>>;
  listTasks(options?: ListTasksOptions & { view?: 'full' | undefined }): Promise<TaskPage<Task>>;
  listTasks(options?: ListTasksOptions): Promise<TaskPage<TaskSummary>>;
  async listTasks(options?: ListTasksOptions): Promise<TaskPage<TaskSummary>> {
    const { tasks } = this.memory.open();
    const { status, limit, offset, pageToken, view } = parseListOptions(options);
    const filter = { tenantId: this.scope, status };
    const after = pageToken === null ? null : this.#readPageToken(pageToken, filter);
    const page: TaskSummary[] = [];
    let last: TaskRecord | null = null;
    for (const record of tasks.list(this.scope, status, after, offset)) {
      if (last !== null && page.length === limit) {
        return { tasks: page, nextPageToken: this.#writePageToken(last, filter) };
      }
      page.push(copyAs(view, record.task));
      last = record;
    }
    return { tasks: page, nextPageToken: null };
  }

  async countActiveTasks(): Promise<number> {
    return this.memory.open().tasks.countActive(this.scope);
  }

  async cleanupOldTasks(olderThanDays: number, options?: CleanupOptions): Promise<number> {
    const { tasks } = this.memory.open();
    const { statuses, limit, dryRun, ...age } = parseCleanup(olderThanDays, options);
    const found = tasks.findEnded(this.scope, age.olderThanDays, statuses, limit ?? Infinity);
    if (!dryRun) {
      found.forEach((record) => tasks.delete(record));
    }
    return found.length;
  }

  async appendEvents(
    taskId: string,
    events: readonly NewTaskEvent[],
    options?: AppendEventsOptions,
  ): Promise<number | null> {
    const { tasks } = this.memory.open();
    const id = parseTaskId(taskId);
    const parsed = parseAppendedEvents(events);
    const guards = parseAppendOptions(options);
    const record = tasks.find(id, this.scope);
    if (record === undefined) {
      return null;
    }
    tasks.append(record, parsed, guards);
    return record.events.length;
  }

  async listEvents(taskId: string, options?: ListEventsOptions): Promise<readonly TaskEvent[]> {
    const { tasks } = this.memory.open();
    const id = parseTaskId(taskId);
    const { afterSequence, limit } = parseListEventsOptions(options);
    const events = tasks.find(id, this.scope)?.events ?? [];
    return events.slice(afterSequence, afterSequence + limit).map((event) => copyEvent(event));
  }

  #writePageToken(last: TaskKey, filter: PageFilter): string {
    const createdAtMicroseconds = String(last.createdAtMs * MICROSECONDS_PER_MS);
    return this.memory.pageTokens.encode({ createdAtMicroseconds, taskId: last.taskId }, filter);
  }

  #readPageToken(token: string, filter: PageFilter): TaskKey {
    const { createdAtMicroseconds, taskId } = this.memory.pageTokens.decode(token, filter);
    return { createdAtMs: Number(createdAtMicroseconds) / MICROSECONDS_PER_MS, taskId };
  }
}
