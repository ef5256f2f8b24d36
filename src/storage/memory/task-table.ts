import type { Clock } from '../../task/clock.js';
import {
  IllegalTransitionError,
  TaskConflictError,
  TaskLimitReachedError,
} from '../../task/errors.js';
import type { ParsedCreateOptions, ParsedUpdateOptions } from '../../task/options-input.js';
import type { NewTaskEvent } from '../../task/task-event.js';
import type { ParsedNewTask } from '../../task/task-input.js';
import type { LeaseTerm } from '../../task/task-lease.js';
import { isTerminal, predecessorsOf, type TerminalStatus } from '../../task/task-lifecycle.js';
import type { Task, TaskStatus, TaskUpdates } from '../../task/task.js';
import { assertWriter, type WriteGuards } from '../../task/write-guards.js';
import type { MemoryChanges } from './memory-changes.js';
import { TaskIndex, type TaskKey } from './task-index.js';
import {
  addEvents,
  createRecord,
  leaseFields,
  updatedTask,
  type EndedTask,
  type TaskRecord,
} from './task-record.js';

/** A tenant, or `null` for all of them. */
export type TenantScope = string | null;

const DAY_MS = 86_400_000;

/**
 * All tasks of one memory storage. What comes in has been checked and copied; what goes out is the
 * table's own and must be copied. Nothing here waits, so that each call is one atomic step.
 */
export class TaskTable {
  readonly #records = new Map<string, TaskRecord>();
  /** The tasks of all tenants. */
  readonly everyone = new TaskIndex();
  readonly #byTenant = new Map<string, TaskIndex>();
  #endsSoFar = 0;

  constructor(
    private readonly clock: Clock,
    private readonly maxTasks: number,
    private readonly changes: MemoryChanges,
  ) {}

  /** @returns `false` when the id is taken */
  create(task: ParsedNewTask, options: ParsedCreateOptions): boolean {
    if (this.#records.has(task.taskId)) {
      return false;
    }
    const tenant = this.#byTenant.get(task.tenantId) ?? new TaskIndex();
    assertRoom(this.everyone, options.maxActiveTasks, 'tasks');
    assertRoom(tenant, options.maxActiveTasksPerTenant, 'tasks of the tenant');
    this.#makeRoom();
    const record = createRecord(task, options, this.now());
    this.#records.set(task.taskId, record);
    this.everyone.add(record);
    this.#byTenant.set(task.tenantId, tenant);
    tenant.add(record);
    this.changes.tell(options.queue ? 'queued' : 'written', task.taskId);
    return true;
  }

  /** @returns `undefined` when it does not exist in the scope */
  find(taskId: string, scope: TenantScope): TaskRecord | undefined {
    const record = this.#records.get(taskId);
    return scope === null || record?.task.tenantId === scope ? record : undefined;
  }

  update(record: TaskRecord, updates: TaskUpdates, options: ParsedUpdateOptions): void {
    const { task } = record;
    const { expectedVersion, events } = options;
    if (expectedVersion !== null && task.version !== expectedVersion) {
      throw new TaskConflictError(`Task ${task.taskId}`, expectedVersion, task.version);
    }
    const status = updates.status ?? null;
    if (status !== null && !predecessorsOf(status).includes(task.status)) {
      throw new IllegalTransitionError(task.taskId, task.status, status);
    }
    if (events.length > 0) {
      assertTakesEvents(task);
    }
    assertWriter(task, options);
    const now = this.now();
    addEvents(record, events, now, status);
    const updated = {
      ...updatedTask(task, updates, now),
      lastEventSequence: record.events.length,
    };
    const ends = status !== null && isTerminal(status);
    if (ends) {
      this.#endsSoFar += 1;
      this.#replace(record, updated, { endedAtMs: now.getTime(), order: this.#endsSoFar, record });
    } else {
      this.#replace(record, updated);
    }
    this.changes.tell(ends ? 'ended' : 'written', record.taskId);
  }

  append(record: TaskRecord, events: readonly NewTaskEvent[], guards: WriteGuards): void {
    assertTakesEvents(record.task);
    assertWriter(record.task, guards);
    addEvents(record, events, this.now(), null);
    record.task = { ...record.task, lastEventSequence: record.events.length };
    this.changes.tell('written', record.taskId);
  }

  claim(record: TaskRecord, term: LeaseTerm): void {
    const { task } = record;
    const now = this.now();
    const version = task.version + 1;
    this.#replace(record, { ...task, ...leaseFields(task, term, now), version, updatedAt: now });
    this.changes.tell('written', record.taskId);
  }

  renew(record: TaskRecord, leaseMs: number): void {
    const leaseExpiresAt = new Date(this.now().getTime() + leaseMs);
    this.#replace(record, { ...record.task, leaseExpiresAt });
  }

  delete(record: TaskRecord): void {
    const { tenantId } = record.task;
    this.#indexesOf(record).forEach((index) => index.delete(record));
    this.#records.delete(record.taskId);
    if (this.#byTenant.get(tenantId)?.size === 0) {
      this.#byTenant.delete(tenantId);
    }
    this.changes.tell('ended', record.taskId);
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

  /** How many tasks of a tenant are running, or pending and held by somebody. */
  countHeld(tenantId: string): number {
    return this.#byTenant.get(tenantId)?.heldCount ?? 0;
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
    const latestMs = this.now().getTime() - olderThanDays * DAY_MS;
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
  now(): Date {
    return new Date(this.clock.now());
  }

  #indexOf(scope: TenantScope): TaskIndex | undefined {
    return scope === null ? this.everyone : this.#byTenant.get(scope);
  }

  #indexesOf(record: TaskRecord): TaskIndex[] {
    const tenant = this.#byTenant.get(record.task.tenantId);
    return tenant === undefined ? [this.everyone] : [this.everyone, tenant];
  }

  /** Gives the record its new task, and a new place wherever it is sorted by what has changed. */
  #replace(record: TaskRecord, task: Task, ended: EndedTask | null = record.ended): void {
    const { status, leaseExpiresAt } = record.task;
    const isMoved = task.status !== status || task.leaseExpiresAt !== leaseExpiresAt;
    const indexes = isMoved ? this.#indexesOf(record) : [];
    indexes.forEach((index) => index.leave(record));
    record.task = task;
    record.ended = ended;
    indexes.forEach((index) => index.enter(record));
  }

  #makeRoom(): void {
    if (this.#records.size < this.maxTasks) {
      return;
    }
    const [firstEnded] = this.everyone.ended.ascending();
    if (firstEnded === undefined) {
      throw new TaskLimitReachedError(
        this.maxTasks,
        `All of the ${this.maxTasks} tasks that the memory may hold are active; end or delete one, or raise maxTasks`,
      );
    }
    this.delete(firstEnded.record);
  }
}

/** @throws {TaskLimitReachedError} when so many tasks of the index are active */
function assertRoom({ activeCount }: TaskIndex, limit: number | null, whose: string): void {
  if (limit !== null && activeCount >= limit) {
    throw new TaskLimitReachedError(
      limit,
      `${activeCount} ${whose} are active; at most ${limit} may be`,
    );
  }
}

/** @throws {IllegalTransitionError} when the task has ended */
function assertTakesEvents({ taskId, status }: Task): void {
  if (isTerminal(status)) {
    throw new IllegalTransitionError(taskId, status, null);
  }
}
