import {
  assertWriter,
  assertQueueable,
  IllegalTransitionError,
  isTerminal,
  parseAppendedEvents,
  parseAppendOptions,
  parseCleanup,
  parseCreateOptions,
  parseGetOptions,
  parseListEventsOptions,
  parseListOptions,
  parseNewTask,
  parseTaskId,
  parseTaskUpdates,
  parseUpdateOptions,
  predecessorsOf,
  TASK_PAYLOAD_FIELDS,
  TaskConflictError,
  TaskLimitReachedError,
  type AppendEventsOptions,
  type CleanupOptions,
  type CreateTaskOptions,
  type GetTaskOptions,
  type ListEventsOptions,
  type ListTasksOptions,
  type NewTask,
  type NewTaskEvent,
  type Task,
  type TaskEvent,
  type TaskOperations,
  type TaskPage,
  type TaskSummary,
  type TaskUpdates,
  type TaskView,
  type UpdateTaskOptions,
} from '../../src/index.js';
import type { Data } from './map-data.js';

const DAY_MS = 86_400_000;

const FORGOTTEN_AT_THE_END = { leaseOwner: null, leaseExpiresAt: null, sealedRequest: null };

/** The operations over all tenants, or through one. */
export class MapTasks implements TaskOperations {
  constructor(
    protected readonly data: Data,
    private readonly tenantId: string | null,
  ) {}

  async createTask(task: NewTask, options?: CreateTaskOptions): Promise<boolean> {
    const data = this.data.open();
    const parsed = parseNewTask(task, this.tenantId);
    const { events, lease, queue, ...limits } = parseCreateOptions(options);
    assertQueueable(parsed, { queue });
    if (data.tasks.has(parsed.taskId)) {
      return false;
    }
    const active = [...data.tasks.values()].filter(({ status }) => !isTerminal(status));
    assertRoom(active, limits.maxActiveTasks);
    assertRoom(
      active.filter(({ tenantId }) => tenantId === parsed.tenantId),
      limits.maxActiveTasksPerTenant,
    );
    const now = data.clock.now();
    const created: Task = {
      ...parsed,
      finalState: null,
      result: null,
      error: null,
      leaseOwner: lease?.owner ?? null,
      leaseExpiresAt: lease && new Date(now.getTime() + lease.leaseMs),
      attempt: lease === null ? 0 : 1,
      queuedAt: queue ? now : null,
      version: 1,
      lastEventSequence: 0,
      createdAt: now,
      updatedAt: now,
      startedAt: parsed.status === 'running' ? now : null,
      finishedAt: null,
    };
    const lastEventSequence = data.addEvents(created, events, parsed.status, now);
    data.tasks.set(parsed.taskId, { ...created, lastEventSequence });
    data.changes.tell(queue ? 'queued' : 'written', parsed.taskId);
    return true;
  }

  getTask(id: string, options: GetTaskOptions & { view: 'summary' }): Promise<TaskSummary | null>;
  getTask(
    id: string,
    options?: GetTaskOptions & { view?: 'full' | undefined },
  ): Promise<Task | null>;
  getTask(id: string, options?: GetTaskOptions): Promise<TaskSummary | null>;
  async getTask(taskId: string, options?: GetTaskOptions): Promise<TaskSummary | null> {
    const task = this.#find(parseTaskId(taskId));
    const { view } = parseGetOptions(options);
    return task === undefined ? null : copyAs(view, task);
  }

  async updateTask(
    taskId: string,
    updates: TaskUpdates,
    options?: UpdateTaskOptions,
  ): Promise<boolean> {
    const data = this.data.open();
    const id = parseTaskId(taskId);
    const { status, ...fields } = parseTaskUpdates(updates);
    const { events, expectedVersion, ...guards } = parseUpdateOptions(options);
    const task = this.#find(id);
    if (task === undefined) {
      return false;
    }
    if (expectedVersion !== null && expectedVersion !== task.version) {
      throw new TaskConflictError(`Task ${id}`, expectedVersion, task.version);
    }
    if (status !== undefined && !predecessorsOf(status).includes(task.status)) {
      throw new IllegalTransitionError(id, task.status, status);
    }
    if (events.length > 0 && isTerminal(task.status)) {
      throw new IllegalTransitionError(id, task.status, null);
    }
    assertWriter(task, guards);
    const now = data.clock.now();
    const ends = status !== undefined && isTerminal(status);
    const changed: Record<string, unknown> = {
      ...fields,
      ...(status === undefined ? {} : { status }),
      ...(status === 'running' ? { startedAt: now } : {}),
      ...(ends ? { finishedAt: now, ...FORGOTTEN_AT_THE_END } : {}),
      lastEventSequence: data.addEvents(task, events, status ?? null, now),
      version: task.version + 1,
      updatedAt: now,
    };
    data.tasks.set(id, Object.assign({ ...task }, changed));
    data.changes.tell(ends ? 'ended' : 'written', id);
    return true;
  }

  async deleteTask(taskId: string): Promise<boolean> {
    const id = parseTaskId(taskId);
    return this.#find(id) !== undefined && this.data.delete(id);
  }

  listTasks(options: ListTasksOptions & { view: 'summary' }): Promise<TaskPage<TaskSummary>>;
  listTasks(options?: ListTasksOptions & { view?: 'full' | undefined }): Promise<TaskPage<Task>>;
  listTasks(options?: ListTasksOptions): Promise<TaskPage<TaskSummary>>;
  async listTasks(options?: ListTasksOptions): Promise<TaskPage<TaskSummary>> {
    const { pageTokens } = this.data.open();
    const { status, limit, offset, pageToken, view } = parseListOptions(options);
    const filter = { tenantId: this.tenantId, status };
    const after = pageToken === null ? null : pageTokens.decode(pageToken, filter);
    const cut = after && { taskId: after.taskId, createdAt: fromMicroseconds(after) };
    const all = this.#visible()
      .filter((task) => status === null || task.status === status)
      .filter((task) => cut === null || newestFirst(cut, task) < 0)
      .toSorted(newestFirst);
    const page = all.slice(offset, offset + limit);
    const last = page.at(-1);
    const isLast = last === undefined || offset + limit >= all.length;
    return {
      tasks: page.map((task) => copyAs(view, task)),
      nextPageToken: isLast
        ? null
        : pageTokens.encode({ ...last, createdAtMicroseconds: toMicroseconds(last) }, filter),
    };
  }

  async countActiveTasks(): Promise<number> {
    return this.#visible().filter(({ status }) => !isTerminal(status)).length;
  }

  async cleanupOldTasks(days: number, options?: CleanupOptions): Promise<number> {
    const data = this.data.open();
    const { olderThanDays, statuses, limit, dryRun } = parseCleanup(days, options);
    const latestMs = data.clock.now().getTime() - olderThanDays * DAY_MS;
    const endMs = (task: Task): number => task.finishedAt?.getTime() ?? Infinity;
    const old = this.#visible()
      .filter((task) => endMs(task) <= latestMs && statuses.some((one) => one === task.status))
      .toSorted((left, right) => endMs(left) - endMs(right))
      .slice(0, limit ?? Infinity);
    if (!dryRun) {
      old.forEach(({ taskId }) => data.delete(taskId));
    }
    return old.length;
  }

  async appendEvents(
    taskId: string,
    events: readonly NewTaskEvent[],
    options?: AppendEventsOptions,
  ): Promise<number | null> {
    const data = this.data.open();
    const id = parseTaskId(taskId);
    const parsed = parseAppendedEvents(events);
    const guards = parseAppendOptions(options);
    const task = this.#find(id);
    if (task === undefined) {
      return null;
    }
    if (isTerminal(task.status)) {
      throw new IllegalTransitionError(id, task.status, null);
    }
    assertWriter(task, guards);
    const lastEventSequence = data.addEvents(task, parsed, null, data.clock.now());
    data.tasks.set(id, { ...task, lastEventSequence });
    data.changes.tell('written', id);
    return lastEventSequence;
  }

  async listEvents(taskId: string, options?: ListEventsOptions): Promise<readonly TaskEvent[]> {
    const task = this.#find(parseTaskId(taskId));
    const { afterSequence, limit } = parseListEventsOptions(options);
    const log = (task && this.data.events.get(task.taskId)) ?? [];
    return structuredClone(log.slice(afterSequence, afterSequence + limit));
  }

  #visible(): Task[] {
    const all = [...this.data.open().tasks.values()];
    return all.filter(({ tenantId }) => this.tenantId === null || tenantId === this.tenantId);
  }

  #find(taskId: string): Task | undefined {
    const task = this.data.open().tasks.get(taskId);
    return this.tenantId === null || task?.tenantId === this.tenantId ? task : undefined;
  }
}

function assertRoom({ length }: readonly Task[], limit: number | null): void {
  if (limit !== null && length >= limit) {
    throw new TaskLimitReachedError(limit, `${length} tasks are active; ${limit} may be`);
  }
}

type Place = Pick<Task, 'createdAt' | 'taskId'>;

/** By code point, which is the order of UTF-8 bytes, where the times are equal. */
function newestFirst(left: Place, right: Place): number {
  const byTime = right.createdAt.getTime() - left.createdAt.getTime();
  return byTime || Buffer.compare(Buffer.from(right.taskId), Buffer.from(left.taskId));
}

function toMicroseconds({ createdAt }: Place): string {
  return `${createdAt.getTime()}000`;
}

function fromMicroseconds({ createdAtMicroseconds }: { createdAtMicroseconds: string }): Date {
  return new Date(Number(createdAtMicroseconds) / 1000);
}

function copyAs(view: TaskView, task: Task): TaskSummary {
  const copy: TaskSummary = structuredClone(task);
  if (view === 'summary') {
    TASK_PAYLOAD_FIELDS.forEach((field) => Reflect.deleteProperty(copy, field));
  }
  return copy;
}
