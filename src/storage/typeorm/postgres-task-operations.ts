import {
  IllegalTransitionError,
  TaskConflictError,
  TaskLimitReachedError,
  TaskStorageError,
} from '../../task/errors.js';
import type { PageTokenCodec } from '../../task/page-token.js';
import type { ListEventsOptions, NewTaskEvent, TaskEvent } from '../../task/task-event.js';
import { parseNewTask, parseTaskId, parseTaskUpdates } from '../../task/task-input.js';
import {
  parseAppendedEvents,
  parseCleanup,
  parseCreateOptions,
  parseListEventsOptions,
  parseListOptions,
  parseUpdateOptions,
} from '../../task/options-input.js';
import { ACTIVE_STATUSES } from '../../task/task-lifecycle.js';
import type {
  CleanupOptions,
  CreateTaskOptions,
  ListTasksOptions,
  TaskOperations,
  TaskPage,
  UpdateTaskOptions,
} from '../../task/task-storage.js';
import type { NewTask, Task, TaskSummary, TaskUpdates } from '../../task/task.js';
import type { PostgresConnection, SqlRow } from './postgres-connection.js';
import { countOldTasks, deleteOldTasks, selectEvents, selectTasks } from './read-statements.js';
import type { SchemaNames } from './schema-names.js';
import { sqlLiterals } from './sql-parameters.js';
import {
  FULL_COLUMNS,
  readEvent,
  readNumber,
  readStatus,
  readSummary,
  readTask,
  readText,
} from './task-rows.js';
import { allowedStatuses, changeTask, insertTask, type TaskChange } from './write-statements.js';

/** One unbatched DELETE of a large table blocks, bloats and times out. */
const CLEANUP_BATCH_SIZE = 1000;
const LARGEST_CLEANUP_BATCH = 10_000;

/** What the operations of every scope share. */
export interface PostgresContext {
  readonly connection: PostgresConnection;
  readonly names: SchemaNames;
  readonly pageTokens: PageTokenCodec;
}

/** The operations on the tasks of one tenant, or of all. */
export class PostgresTaskOperations implements TaskOperations {
  /** @param scope the tenant, or `null` for all */
  constructor(
    protected readonly context: PostgresContext,
    private readonly scope: string | null,
  ) {}

  async createTask(task: NewTask, options?: CreateTaskOptions): Promise<boolean> {
    const parsed = parseNewTask(task, this.scope);
    const { maxActiveTasks, events } = parseCreateOptions(options);
    const { connection, names } = this.context;
    const statement = insertTask(names, parsed, events, maxActiveTasks);
    if (maxActiveTasks === null) {
      const [row] = await connection.send(statement);
      return row?.['created'] === true;
    }
    const row = await connection.transaction(async (send) => {
      // Creations with a limit take turns, so that each counts what the one before it inserted.
      await send({
        text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
        values: [names.lock('admit')],
      });
      return onlyRow(await send(statement));
    });
    if (row['created'] === true) {
      return true;
    }
    if (row['taken'] !== true && readNumber(row, 'active') >= maxActiveTasks) {
      throw new TaskLimitReachedError(
        maxActiveTasks,
        `${readNumber(row, 'active')} tasks are active; at most ${maxActiveTasks} may be`,
      );
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
    const { connection, names } = this.context;
    const rows = await connection.send({
      text: `WITH deleted AS (
          DELETE FROM ${names.tasks} WHERE task_id = $1 ${this.#andTenant(2)} RETURNING task_id
        ) SELECT task_id FROM deleted`,
      values: [parseTaskId(taskId), ...this.#tenantValues()],
    });
    return rows.length > 0;
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
    const largestBatch = limit === null ? CLEANUP_BATCH_SIZE : LARGEST_CLEANUP_BATCH;
    let deleted = 0;
    for (;;) {
      const batchSize = Math.min(largestBatch, (limit ?? Infinity) - deleted);
      if (batchSize === 0) {
        return deleted;
      }
      const rows = await connection.send(deleteOldTasks(names, query, batchSize));
      const total = readNumber(onlyRow(rows), 'total');
      deleted += total;
      if (total < batchSize) {
        return deleted;
      }
    }
  }

  async appendEvents(taskId: string, events: readonly NewTaskEvent[]): Promise<number | null> {
    const row = await this.#change({
      taskId: parseTaskId(taskId),
      tenantId: this.scope,
      updates: null,
      expectedVersion: null,
      events: parseAppendedEvents(events),
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
  async #change(change: TaskChange): Promise<SqlRow | null> {
    const { connection, names } = this.context;
    const [row] = await connection.send(changeTask(names, change));
    if (row === undefined) {
      return null;
    }
    if (row['changed'] === true) {
      return row;
    }
    const { taskId, expectedVersion } = change;
    const version = readNumber(row, 'version');
    if (expectedVersion !== null && version !== expectedVersion) {
      throw new TaskConflictError(`Task ${taskId}`, expectedVersion, version);
    }
    const status = readStatus(row, 'status');
    if (allowedStatuses(change)?.includes(status) === false) {
      throw new IllegalTransitionError(taskId, status, change.updates?.status ?? null);
    }
    throw new TaskStorageError(
      'INTERNAL',
      `Task ${taskId} could not be changed, for no known cause`,
    );
  }

  #andTenant(position: number): string {
    return this.scope === null ? '' : `AND tenant_id = $${position}`;
  }

  #tenantValues(): string[] {
    return this.scope === null ? [] : [this.scope];
  }
}

function onlyRow(rows: readonly SqlRow[]): SqlRow {
  const [row] = rows;
  if (row === undefined) {
    throw new TaskStorageError('INTERNAL', 'Postgres answered no row where there is always one');
  }
  return row;
}
