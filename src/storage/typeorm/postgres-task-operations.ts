import type { TaskChange } from '../../task/task-change.js';
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
import { endsTask, type GuardedChange } from './guarded-change.js';
import { deleteInBatches } from './cleanup.js';
import { readPagePosition } from './page-position.js';
import { onlyRow, type SqlRow } from './postgres-connection.js';
import type { PostgresContext } from './postgres-context.js';
import { countActive, countOldTasks, selectEvents, selectTasks } from './read-statements.js';
import { fieldValues } from './task-fields.js';
import { readEvent, readNumber, readSummary, readTask } from './task-rows.js';
import { pageOf, readEach } from './unreadable-rows.js';

/** The operations on the tasks of one tenant, or of all. */
export class PostgresTaskOperations implements TaskOperations {
  /** @param scope the tenant, or `null` for all */
  constructor(
    protected readonly context: PostgresContext,
    private readonly scope: string | null,
  ) {}

  async createTask(task: NewTask, options?: CreateTaskOptions): Promise<boolean> {
    const parsed = parseNewTask(task, this.scope);
    const parsedOptions = parseCreateOptions(options);
    assertQueueable(parsed, parsedOptions);
    const { taskId, tenantId } = parsed;
    const creation = { task: { taskId, tenantId }, values: fieldValues(parsed), ...parsedOptions };
    const isCreated = await this.context.calls.create(creation);
    if (isCreated) {
      this.#announce(parsedOptions.queue ? 'queued' : 'written', taskId);
    }
    return isCreated;
  }

  async getTask(
    taskId: string,
    options: GetTaskOptions & { view: 'summary' },
  ): Promise<TaskSummary | null>;
  async getTask(
    taskId: string,
    options?: GetTaskOptions & { view?: 'full' | undefined },
  ): Promise<Task | null>;
  async getTask(taskId: string, options?: GetTaskOptions): Promise<TaskSummary | null> {
    const wanted = { taskId: parseTaskId(taskId), tenantId: this.scope };
    const { view } = parseGetOptions(options);
    const row = await this.context.calls.get(wanted, view);
    const read = view === 'full' ? readTask : readSummary;
    return row === null ? null : read(row);
  }

  async updateTask(
    taskId: string,
    updates: TaskUpdates,
    options?: UpdateTaskOptions,
  ): Promise<boolean> {
    const parsedUpdates = parseTaskUpdates(updates);
    const change = {
      taskId: parseTaskId(taskId),
      tenantId: this.scope,
      updates: parsedUpdates,
      values: fieldValues(parsedUpdates),
      ...parseUpdateOptions(options),
    };
    return (await this.#change(change)) !== null;
  }

  async deleteTask(taskId: string): Promise<boolean> {
    const parsedId = parseTaskId(taskId);
    const { connection, names } = this.context;
    const rows = await connection.send({
      text: `WITH deleted AS (
          DELETE FROM ${names.tasks} WHERE task_id = $1 ${this.#andTenant(2)} RETURNING task_id
        ) SELECT task_id FROM deleted`,
      values: [parsedId, ...this.#tenantValues()],
    });
    if (rows.length === 0) {
      return false;
    }
    this.#announce('ended', parsedId);
    return true;
  }

  async listTasks(options: ListTasksOptions & { view: 'summary' }): Promise<TaskPage<TaskSummary>>;
  async listTasks(
    options?: ListTasksOptions & { view?: 'full' | undefined },
  ): Promise<TaskPage<Task>>;
  async listTasks(options?: ListTasksOptions): Promise<TaskPage<TaskSummary>> {
    const { status, limit, offset, pageToken, view } = parseListOptions(options);
    const { connection, names, pageTokens } = this.context;
    const filter = { tenantId: this.scope, status };
    const after = pageToken === null ? null : pageTokens.decode(pageToken, filter);
    // One more than asked for tells whether there is a next page.
    const query = { ...filter, after, offset, limit: limit + 1, view };
    const rows = await connection.send(selectTasks(names, query));
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      ...pageOf(readEach<TaskSummary>(page, view === 'full' ? readTask : readSummary)),
      nextPageToken:
        last === undefined || rows.length <= limit
          ? null
          : pageTokens.encode(readPagePosition(last), filter),
    };
  }

  async countActiveTasks(): Promise<number> {
    const { connection, names } = this.context;
    const rows = await connection.send(countActive(names, this.scope));
    return readNumber(onlyRow(rows), 'active');
  }

  async cleanupOldTasks(olderThanDays: number, options?: CleanupOptions): Promise<number> {
    const { limit, dryRun, ...parsed } = parseCleanup(olderThanDays, options);
    const { connection, names } = this.context;
    const query = { ...parsed, tenantId: this.scope };
    if (dryRun) {
      const rows = await connection.send(countOldTasks(names, query, limit));
      return readNumber(onlyRow(rows), 'total');
    }
    return deleteInBatches(this.context, query, limit);
  }

  async appendEvents(
    taskId: string,
    events: readonly NewTaskEvent[],
    options?: AppendEventsOptions,
  ): Promise<number | null> {
    const row = await this.#change({
      taskId: parseTaskId(taskId),
      tenantId: this.scope,
      updates: null,
      values: {},
      expectedVersion: null,
      events: parseAppendedEvents(events),
      ...parseAppendOptions(options),
    });
    return row === null ? null : readNumber(row, 'last_event_sequence');
  }

  async listEvents(taskId: string, options?: ListEventsOptions): Promise<readonly TaskEvent[]> {
    const { connection, names } = this.context;
    const rows = await connection.send(
      selectEvents(names, {
        taskId: parseTaskId(taskId),
        tenantId: this.scope,
        ...parseListEventsOptions(options),
      }),
    );
    return rows.map(readEvent);
  }

  /** @returns what the change answered, or `null` when the task does not exist */
  async #change(change: GuardedChange): Promise<SqlRow | null> {
    const row = await this.context.calls.change(change);
    if (row === null) {
      return null;
    }
    this.#announce(endsTask(change.updates) ? 'ended' : 'written', change.taskId);
    return row;
  }

  #announce(kind: TaskChange['kind'], taskId: string): void {
    this.context.changes.announce({ kind, taskId });
  }

  #andTenant(position: number): string {
    return this.scope === null ? '' : `AND tenant_id = $${position}`;
  }

  #tenantValues(): string[] {
    return this.scope === null ? [] : [this.scope];
  }
}
