import type { Clock } from '../../task/clock.js';
import {
  IllegalTransitionError,
  TaskConflictError,
  TaskLimitReachedError,
} from '../../task/errors.js';
import type { NewTaskEvent, TaskEvent } from '../../task/task-event.js';
import type { ParsedNewTask } from '../../task/task-input.js';
import { isTerminal, predecessorsOf, type TerminalStatus } from '../../task/task-lifecycle.js';
import type { TaskStatus, TaskUpdates } from '../../task/task.js';
import { TaskIndex, type TaskKey } from './task-index.js';
import type { TaskRecord } from './task-record.js';

/** A tenant, or `null` for all of them. */
export type TenantScope = string | null;

const DAY_MS = 86_400_000;

/**
 * All tasks of one memory storage. What comes in has been checked and copied; what goes out is the
 * table's own and must be copied. Nothing here waits, so that each call is one atomic step.
 */
export class TaskTable {
  readonly #records = new Map<string, TaskRecord>();
  readonly #everyone = new TaskIndex();
  readonly #byTenant = new Map<string, TaskIndex>();
  #endsSoFar = 0;

  constructor(
    private readonly clock: Clock,
    private readonly maxTasks: number,
  ) {}

  /** @returns `false` when the id is taken */
  create(task: ParsedNewTask, events: NewTaskEvent[], maxActiveTasks: number | null): boolean {
    if (this.#records.has(task.taskId)) {
      return false;
    }
    if (maxActiveTasks !== null && this.#everyone.activeCount >= maxActiveTasks) {
      throw new TaskLimitReachedError(
        maxActiveTasks,
        `${this.#everyone.activeCount} tasks are active; at most ${maxActiveTasks} may be`,
      );
    }
    this.#makeRoom();
    const now = this.#now();
    const record: TaskRecord = {
      taskId: task.taskId,
      createdAtMs: now.getTime(),
      task: {
        ...task,
        finalState: null,
        result: null,
        error: null,
        version: 1,
        lastEventSequence: events.length,
        createdAt: now,
        updatedAt: now,
        startedAt: task.status === 'running' ? now : null,
        finishedAt: null,
      },
      events: [],
      ended: null,
    };
    addEvents(record, events, now, task.status);
    this.#records.set(task.taskId, record);
    this.#everyone.add(record);
    const tenant = this.#byTenant.get(task.tenantId) ?? new TaskIndex();
    this.#byTenant.set(task.tenantId, tenant);
    tenant.add(record);
    return true;
  }

  /** @returns `undefined` when it does not exist in the scope */
  find(taskId: string, scope: TenantScope): TaskRecord | undefined {
    const record = this.#records.get(taskId);
    return scope === null || record?.task.tenantId === scope ? record : undefined;
  }

  update(
    record: TaskRecord,
    updates: TaskUpdates,
    events: NewTaskEvent[],
    expectedVersion: number | null,
  ): void {
    const { task } = record;
    if (expectedVersion !== null && task.version !== expectedVersion) {
      throw new TaskConflictError(`Task ${task.taskId}`, expectedVersion, task.version);
    }
    const status = updates.status ?? null;
    if (status !== null && !predecessorsOf(status).includes(task.status)) {
      throw new IllegalTransitionError(task.taskId, task.status, status);
    }
    const now = this.#now();
    if (events.length > 0) {
      this.append(record, events, status, now);
    }
    const ends = status !== null && isTerminal(status);
    const updated = {
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
      leaseOwner: ends ? null : given(updates.leaseOwner, task.leaseOwner),
      status: status ?? task.status,
      version: task.version + 1,
      lastEventSequence: record.events.length,
      updatedAt: now,
      startedAt: status === 'running' ? now : task.startedAt,
      finishedAt: ends ? now : task.finishedAt,
    };
    const indexes = status === null ? [] : this.#indexesOf(record);
    indexes.forEach((index) => index.leaveStatus(record));
    record.task = updated;
    if (ends) {
      this.#endsSoFar += 1;
      record.ended = { endedAtMs: now.getTime(), order: this.#endsSoFar, record };
    }
    indexes.forEach((index) => index.enterStatus(record));
  }

  /** @param status what the task becomes at the same time, carried by the last event */
  append(
    record: TaskRecord,
    events: NewTaskEvent[],
    status: TaskStatus | null = null,
    now = this.#now(),
  ): void {
    if (isTerminal(record.task.status)) {
      throw new IllegalTransitionError(record.taskId, record.task.status, null);
    }
    addEvents(record, events, now, status);
    record.task = { ...record.task, lastEventSequence: record.events.length };
  }

  delete(record: TaskRecord): void {
    const { tenantId } = record.task;
    this.#indexesOf(record).forEach((index) => index.delete(record));
    this.#records.delete(record.taskId);
    if (this.#byTenant.get(tenantId)?.size === 0) {
      this.#byTenant.delete(tenantId);
    }
  }

  /** The tasks after a place in the scope's list, the newest first. */
  list(
    scope: TenantScope,
    status: TaskStatus | null,
    after: TaskKey | null,
    skip: number,
  ): Iterable<TaskRecord> {
    return this.#indexOf(scope)?.withStatus(status).descending(after, skip) ?? [];
  }

  countActive(scope: TenantScope): number {
    return this.#indexOf(scope)?.activeCount ?? 0;
  }

  /** @returns at most `limit` tasks that ended so long ago, the first that ended first */
  findEnded(
    scope: TenantScope,
    olderThanDays: number,
    statuses: readonly TerminalStatus[],
    limit: number,
  ): TaskRecord[] {
    const latestMs = this.#now().getTime() - olderThanDays * DAY_MS;
    const wanted = new Set<TaskStatus>(statuses);
    const found: TaskRecord[] = [];
    for (const { endedAtMs, record } of this.#indexOf(scope)?.ended.ascending() ?? []) {
      if (endedAtMs > latestMs || found.length >= limit) {
        break;
      }
      if (wanted.has(record.task.status)) {
        found.push(record);
      }
    }
    return found;
  }

  /** A copy, because a clock may go on using its own. */
  #now(): Date {
    return new Date(this.clock.now());
  }

  #indexOf(scope: TenantScope): TaskIndex | undefined {
    return scope === null ? this.#everyone : this.#byTenant.get(scope);
  }

  #indexesOf(record: TaskRecord): TaskIndex[] {
    const tenant = this.#byTenant.get(record.task.tenantId);
    return tenant === undefined ? [this.#everyone] : [this.#everyone, tenant];
  }

  #makeRoom(): void {
    if (this.#records.size < this.maxTasks) {
      return;
    }
    const [firstEnded] = this.#everyone.ended.ascending();
    if (firstEnded === undefined) {
      throw new TaskLimitReachedError(
        this.maxTasks,
        `All of the ${this.maxTasks} tasks that the memory may hold are active; end or delete one, or raise maxTasks`,
      );
    }
    this.delete(firstEnded.record);
  }
}

function given<T>(value: T | undefined, current: T): T {
  return value === undefined ? current : value;
}

/** @param status what the last of the events carries */
function addEvents(
  record: TaskRecord,
  events: NewTaskEvent[],
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
