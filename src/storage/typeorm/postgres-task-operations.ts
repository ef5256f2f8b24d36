import type { TaskChange } from '../../task/task-change.js';
import type { ListEventsOptions, NewTaskEvent, TaskEvent } from '../../task/task-event.js';
import { parseNewTask, parseTaskId, parseTaskUpdates } from '../../task/task-input.js';
import {
  assertQueueable,
  parseAppendedEvents,
  parseAppendOptions,
  parseCleanup,
  parseCreateOptions,
  parseListEventsOptions,
  parseListOptions,
  parseUpdateOptions,
} from '../../task/options-input.js';
import { ACTIVE_STATUSES } from '../../task/task-lifecycle.js';
import type {
  AppendEventsOptions,
  CleanupOptions,
  CreateTaskOptions,
  ListTasksOptions,
  TaskOperations,
  TaskPage,
  UpdateTaskOptions,
} from '../../task/task-storage.js';
import type { NewTask, Task, TaskSummary, TaskUpdates } from '../../task/task.js';
import { hasLimit, lockAdmission } from './admission.js';
import { deleteInBatches } from './cleanup.js';
import { onlyRow, type SqlRow } from './postgres-connection.js';
import type { PostgresContext } from './postgres-context.js';
import { countOldTasks, selectEvents, selectTasks } from './read-statements.js';
import { refusalOfChange, refusalOfCreation } from './refusals.js';
import { sqlLiterals } from './sql-parameters.js';
import {
  FULL_COLUMNS,
  readEvent,
  readNumber,
  readSummary,
  readTask,
  readText,
} from './task-rows.js';
import { changeTask, endsTask, insertTask, type GuardedChange } from './write-statements.js';

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
    const { connection, names } = this.context;
    const statement = insertTask(names, parsed, parsedOptions);
    const row = hasLimit(parsedOptions)
      ? await connection.transaction(async (send) => {
          await send(lockAdmission(names));
          return onlyRow(await send(statement));
        })
      : onlyRow(await connection.send(statement));
    if (row['created'] === true) {
      this.#announce(parsedOptions.queue ? 'queued' : 'written', parsed.taskId);
      return true;
    }
    const refusal = hasLimit(parsedOptions) ? refusalOfCreation(row, parsedOptions) : null;
    if (refusal !== null) {
      throw refusal;
    }
    return false;
  }

  async getTask(taskId: string): Promise<Task | null> {
    const { connection, names } = this.context;
    const [row] = await connection.send({
      text: `SELECT ${FULL_COLUMNS} FROM ${names.tasks} WHERE task_id = $1 ${this.#andTenant(2)}`,
      values: [parseTaskId(taskId), ...this.#tenantValues()],
    });
    return row === undefined ? null : readTask(row);
  }

  async updateTask(
    taskId: string,
    updates: TaskUpdates,
    options?: UpdateTaskOptions,
  ): Promise<boolean> {
    const change = {
      taskId: parseTaskId(taskId),
      tenantId: this.scope,
      updates: parseTaskUpdates(updates),
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
      tasks: page.map(view === 'full' ? readTask : readSummary),
      nextPageToken:
        last === undefined || rows.length <= limit
          ? null
          : pageTokens.encode(
              {
                createdAtMicroseconds: readText(last, 'created_at'),
                taskId: readText(last, 'task_id'),
              },
              filter,
            ),
    };
  }

  async countActiveTasks(): Promise<number> {
    const { connection, names } = this.context;
    const rows = await connection.send({
      // Literals, because the planner takes the partial index only for what it can read.
      text: `SELECT COUNT(*)::int AS active FROM ${names.tasks}
        WHERE status IN (${sqlLiterals(ACTIVE_STATUSES)}) ${this.#andTenant(1)}`,
      values: this.#tenantValues(),
    });
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
    const { connection, names } = this.context;
    const [row] = await connection.send(changeTask(names, change));
    if (row === undefined) {
      return null;
    }
    if (row['changed'] !== true) {
      throw refusalOfChange(change, row);
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
