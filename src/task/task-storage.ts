import type { JsonObject } from './json.js';
import type { TaskChanges } from './task-change.js';
import type { ListEventsOptions, NewTaskEvent, TaskEvent } from './task-event.js';
import type { HeldLease, LeaseTerm, TaskLeases } from './task-lease.js';
import type { TerminalStatus } from './task-lifecycle.js';
import type { NewTask, Task, TaskStatus, TaskSummary, TaskUpdates } from './task.js';

/** The injection token of the application's {@link TaskStorage}. */
export const TASK_STORAGE = Symbol.for('nestjs-task-storage:TASK_STORAGE');

/** How `createTask` admits a task. */
export interface CreateTaskOptions {
  /**
   * Refuse with `LIMIT_REACHED` when this many tasks are `pending` or `running` already, of
   * whichever tenant. Counting and inserting are one atomic step, whatever races.
   */
  maxActiveTasks?: number | undefined;
  /** The same for the tasks of the new task's own tenant. */
  maxActiveTasksPerTenant?: number | undefined;
  /** Claims the task for its creator, as its first attempt. Excludes `queue`. */
  lease?: LeaseTerm | undefined;
  /** Queues the task, to be claimed with `leases.claimQueued`. It must be `pending`. */
  queue?: boolean | undefined;
  /** Committed together with the task, as its first events. At most 1000. */
  events?: readonly NewTaskEvent[] | undefined;
}

/** How much of a task an operation answers: all, or the task without {@link TASK_PAYLOAD_FIELDS}. */
export type TaskView = 'full' | 'summary';

/** What `getTask` answers. */
export interface GetTaskOptions {
  /** `summary` leaves out the fields that may be large. Default `full`. */
  view?: TaskView | undefined;
}

/** What must hold for `updateTask` to write, and what it writes beside the task. */
export interface UpdateTaskOptions {
  /** Refuse with `CONFLICT` unless the task is at this version. */
  expectedVersion?: number | undefined;
  /** Refuse with `CONFLICT` unless the writer still holds this lease. */
  lease?: HeldLease | undefined;
  /**
   * Refuse with `CONFLICT` unless the newest event has this sequence (0: there is none). A writer
   * that repeats a write whose answer was lost adds its events once at the most.
   */
  expectedSequence?: number | undefined;
  /**
   * Committed together with the update. When the update changes the status, the last of them
   * carries it. At most 1000.
   */
  events?: readonly NewTaskEvent[] | undefined;
}

/** What must hold for `appendEvents` to write. */
export interface AppendEventsOptions {
  /** Refuse with `CONFLICT` unless the writer still holds this lease. */
  lease?: HeldLease | undefined;
  /** Refuse with `CONFLICT` unless the newest event has this sequence; 0: there is none. */
  expectedSequence?: number | undefined;
}

/** Which tasks `listTasks` answers. `offset` and `pageToken` exclude each other. */
export interface ListTasksOptions {
  status?: TaskStatus | undefined;
  /** How many at the most: 1 to 1000. Default 100. */
  limit?: number | undefined;
  /** How many of the newest to skip. Costs grow with it: prefer `pageToken`. */
  offset?: number | undefined;
  /** Where to go on: `nextPageToken` of an earlier page of the same list. */
  pageToken?: string | undefined;
  /** `summary` leaves out the fields that may be large. Default `full`. */
  view?: TaskView | undefined;
}

/** A task of a list that is stored and cannot be understood. */
export interface UnreadableTask {
  readonly taskId: string;
  /** Where and what: the name of the column, and what it should hold. */
  readonly reason: string;
}

/** One page of a list. */
export interface TaskPage<T> {
  readonly tasks: readonly T[];
  /**
   * Tasks of this page that cannot be read, in the order of the list, so that one of them does not hide
   * all others; `getTask` of each rejects with `CORRUPT`. Left out when there are none. They count
   * against `limit`.
   */
  readonly unreadable?: readonly UnreadableTask[];
  /** Where the next page starts; `null` when this was the last one. */
  readonly nextPageToken: string | null;
}

/** Which ended tasks `cleanupOldTasks` deletes. */
export interface CleanupOptions {
  /** Only tasks with one of these statuses. Default: all three. */
  statuses?: readonly TerminalStatus[] | undefined;
  /** How many at the most, the oldest first: 1 to 2147483647. Default: all. */
  limit?: number | undefined;
  /** Only count what would be deleted. */
  dryRun?: boolean | undefined;
}

/**
 * What can be done with tasks. Every backend does the same; the conformance kit proves it.
 *
 * Every operation rejects with a {@link TaskStorageError} when the backend does not answer: `false`,
 * `null`, `0` and an empty list always mean what they say. A value that no backend can store, a
 * task id that no task can have included, is an {@link InvalidTaskError}.
 */
export interface TaskOperations {
  /**
   * Stores a new task.
   *
   * @returns `false` when the id is taken, by whichever tenant; nothing is overwritten then
   * @throws {TaskLimitReachedError} when there is no room for another task
   */
  createTask(task: NewTask, options?: CreateTaskOptions): Promise<boolean>;

  /**
   * Reads a task, or only its summary, whose cost does not grow with what the task carries.
   *
   * @returns the task, or `null` when it does not exist
   * @throws {UnreadableTaskError} when what is stored of it cannot be understood
   */
  getTask(
    taskId: string,
    options: GetTaskOptions & { view: 'summary' },
  ): Promise<TaskSummary | null>;
  getTask(
    taskId: string,
    options?: GetTaskOptions & { view?: 'full' | undefined },
  ): Promise<Task | null>;
  getTask(taskId: string, options?: GetTaskOptions): Promise<TaskSummary | null>;

  /**
   * Changes a task in one atomic step.
   *
   * @returns `false` when the task does not exist
   * @throws {TaskConflictError} when `expectedVersion` does not match
   * @throws {IllegalTransitionError} when the task's status does not allow the new one, or its end
   *   does not allow another event
   * @throws {LeaseLostError} when `lease` is not held (any more); checked after the others
   * @throws {TaskConflictError} when `expectedSequence` does not match; checked last
   */
  updateTask(taskId: string, updates: TaskUpdates, options?: UpdateTaskOptions): Promise<boolean>;

  /**
   * Deletes a task and its events, whatever its status.
   *
   * @returns `false` when the task does not exist
   */
  deleteTask(taskId: string): Promise<boolean>;

  /**
   * Lists tasks, the newest first: by `createdAt`, then by `taskId` in Unicode order, both
   * descending. Following `nextPageToken` skips and repeats nothing that exists throughout.
   */
  listTasks(options: ListTasksOptions & { view: 'summary' }): Promise<TaskPage<TaskSummary>>;
  listTasks(options?: ListTasksOptions & { view?: 'full' | undefined }): Promise<TaskPage<Task>>;
  listTasks(options?: ListTasksOptions): Promise<TaskPage<TaskSummary>>;

  /** @returns how many tasks are `pending` or `running`; its cost does not grow with ended ones */
  countActiveTasks(): Promise<number>;

  /**
   * Deletes ended tasks and their events; an active task never. A task's age counts from its end,
   * or, for ended rows of the original service, from their last update.
   *
   * @param olderThanDays whole days, 0 to 36500; 0 deletes every ended task
   * @returns how many were deleted, or would be with `dryRun`
   */
  cleanupOldTasks(olderThanDays: number, options?: CleanupOptions): Promise<number>;

  /**
   * Adds events to a task's log, 1 to 1000 at once. Changes neither version nor `updatedAt`.
   *
   * @returns the sequence of the last one, or `null` when the task does not exist
   * @throws {IllegalTransitionError} when the task has ended
   * @throws {LeaseLostError} when `lease` is not held (any more)
   * @throws {TaskConflictError} when `expectedSequence` does not match
   */
  appendEvents(
    taskId: string,
    events: readonly NewTaskEvent[],
    options?: AppendEventsOptions,
  ): Promise<number | null>;

  /** @returns the task's events in order; none for a task that does not exist */
  listEvents(taskId: string, options?: ListEventsOptions): Promise<readonly TaskEvent[]>;
}

/** A named JSON document beside the tasks. */
export interface Setting {
  readonly value: JsonObject;
  /** 1 at creation, one more with each write. */
  readonly version: number;
}

/** Small documents shared by every process on the same storage, such as a global configuration. */
export interface SettingsStorage {
  /** @returns the setting, or `null` when it was never written */
  getSetting(name: string): Promise<Setting | null>;

  /**
   * Writes a setting.
   *
   * @param expectedVersion the version read before; 0 when it must not exist yet
   * @returns its new version
   * @throws {TaskConflictError} when it is at another version
   */
  putSetting(name: string, value: JsonObject, expectedVersion: number): Promise<number>;
}

/** What `runExclusively` answers: the work's result, or that somebody else is at it. */
export type ExclusiveResult<T> =
  { readonly ran: true; readonly value: T } | { readonly ran: false };

/** A backend: the operations over all tenants, and what a running service needs beside them. */
export interface TaskStorage extends TaskOperations {
  /** What the storage is and where, for a log line; never with a password. */
  readonly description: string;

  readonly settings: SettingsStorage;

  /** Who runs which task. */
  readonly leases: TaskLeases;

  /** Hints about changes, for those who would otherwise have to ask again and again. */
  readonly changes: TaskChanges;

  /**
   * The same operations seen through one tenant: it can neither read, change, count, list nor
   * delete another's tasks. To it they do not exist; only their ids are taken.
   */
  forTenant(tenantId: string): TaskOperations;

  /** @throws {TaskStorageError} when the backend does not answer */
  ping(): Promise<void>;

  /**
   * Runs the work unless any process on the same storage runs work of that name already.
   *
   * @param work is handed a signal that is aborted when the storage can no longer keep others out,
   *   because the connection that held the lock is lost; the work should stop then
   */
  runExclusively<T>(
    name: string,
    work: (lost: AbortSignal) => Promise<T>,
  ): Promise<ExclusiveResult<T>>;

  /** Gives back what the storage holds open. Afterwards every operation is `UNAVAILABLE`. */
  close(): Promise<void>;
}
