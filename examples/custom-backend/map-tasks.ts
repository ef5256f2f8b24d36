import { randomBytes } from 'node:crypto';
import {
  IllegalTransitionError,
  isTerminal,
  PageTokenCodec,
  parseAppendedEvents,
  parseCleanup,
  parseCreateOptions,
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
  TaskStorageError,
  type CleanupOptions,
  type Clock,
  type CreateTaskOptions,
  type ListEventsOptions,
  type ListTasksOptions,
  type NewTask,
  type NewTaskEvent,
  type Setting,
  type Task,
  type TaskEvent,
  type TaskOperations,
  type TaskPage,
  type TaskStatus,
  type TaskSummary,
  type TaskUpdates,
  type UpdateTaskOptions,
} from '../../src/index.js';

const DAY_MS = 86_400_000;

/** What the views share. A real backend holds its connection here. */
export class Data {
  readonly tasks = new Map<string, Task>();
  readonly events = new Map<string, TaskEvent[]>();
  readonly settings = new Map<string, Setting>();
  readonly exclusiveWork = new Set<string>();
  readonly pageTokens = new PageTokenCodec(randomBytes(32));
  isClosed = false;

  constructor(readonly clock: Clock) {}

  open(): this {
    if (this.isClosed) {
      throw new TaskStorageError('UNAVAILABLE', 'The storage is closed');
    }
    return this;
  }

  addEvents(task: Task, events: NewTaskEvent[], status: TaskStatus | null): number {
    const log = this.events.get(task.taskId) ?? [];
    events.forEach((event, index) => {
      log.push({
        ...event,
        taskId: task.taskId,
        sequence: log.length + 1,
        status: index === events.length - 1 ? status : null,
        createdAt: this.clock.now(),
      });
    });
    this.events.set(task.taskId, log);
    return log.length;
  }

  delete(taskId: string): boolean {
    this.events.delete(taskId);
    return this.tasks.delete(taskId);
  }
}

/** The operations over all tenants, or through one. */
export class MapTasks implements TaskOperations {
  constructor(
    protected readonly data: Data,
    private readonly tenantId: string | null,
  ) {}

  async createTask(task: NewTask, options?: CreateTaskOptions): Promise<boolean> {
    const data = this.data.open();
    const parsed = parseNewTask(task, this.tenantId);
    const { events, maxActiveTasks } = parseCreateOptions(options);
    if (data.tasks.has(parsed.taskId)) {
      return false;
    }
    const active = [...data.tasks.values()].filter(({ status }) => !isTerminal(status)).length;
    if (maxActiveTasks !== null && active >= maxActiveTasks) {
      throw new TaskLimitReachedError(maxActiveTasks, `${active} tasks are active`);
    }
    const now = data.clock.now();
    const created: Task = {
      ...parsed,
      finalState: null,
      result: null,
      error: null,
      version: 1,
      lastEventSequence: 0,
      createdAt: now,
      updatedAt: now,
      startedAt: parsed.status === 'running' ? now : null,
      finishedAt: null,
    };
    const lastEventSequence = data.addEvents(created, events, parsed.status);
    data.tasks.set(parsed.taskId, { ...created, lastEventSequence });
    return true;
  }

  async getTask(taskId: string): Promise<Task | null> {
    return structuredClone(this.#find(parseTaskId(taskId)) ?? null);
  }

  async updateTask(
    taskId: string,
    updates: TaskUpdates,
    options?: UpdateTaskOptions,
  ): Promise<boolean> {
    const data = this.data.open();
    const id = parseTaskId(taskId);
    const { status, ...fields } = parseTaskUpdates(updates);
    const { events, expectedVersion } = parseUpdateOptions(options);
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
    const now = data.clock.now();
    const ends = status !== undefined && isTerminal(status);
    const changed: Record<string, unknown> = {
      ...fields,
      ...(status === undefined ? {} : { status }),
      ...(status === 'running' ? { startedAt: now } : {}),
      ...(ends ? { finishedAt: now, leaseOwner: null } : {}),
      lastEventSequence: data.addEvents(task, events, status ?? null),
      version: task.version + 1,
      updatedAt: now,
    };
    data.tasks.set(id, Object.assign({ ...task }, changed));
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

  async appendEvents(taskId: string, events: readonly NewTaskEvent[]): Promise<number | null> {
    const data = this.data.open();
    const id = parseTaskId(taskId);
    const parsed = parseAppendedEvents(events);
    const task = this.#find(id);
    if (task === undefined) {
      return null;
    }
    if (isTerminal(task.status)) {
      throw new IllegalTransitionError(id, task.status, null);
    }
    const lastEventSequence = data.addEvents(task, parsed, null);
    data.tasks.set(id, { ...task, lastEventSequence });
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

function copyAs(view: 'full' | 'summary', task: Task): TaskSummary {
  const copy: TaskSummary = structuredClone(task);
  if (view === 'summary') {
    TASK_PAYLOAD_FIELDS.forEach((field) => Reflect.deleteProperty(copy, field));
  }
  return copy;
}
