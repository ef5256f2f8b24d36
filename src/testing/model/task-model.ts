import type { NewTaskEvent } from '../../task/task-event.js';
import type { HeldLease } from '../../task/task-lease.js';
import { isTerminal } from '../../task/task-lifecycle.js';
import type { CleanupOptions, CreateTaskOptions } from '../../task/task-storage.js';
import type { NewTask, Task, TaskStatus, TaskUpdates } from '../../task/task.js';
import type { Caller } from './operation.js';

type TimeField =
  'createdAt' | 'updatedAt' | 'startedAt' | 'finishedAt' | 'leaseExpiresAt' | 'queuedAt';

/** The contract's times are the storage's own, so that a model can only say which are set. */
export type ModelFields = Omit<Task, TimeField> & {
  readonly hasLease: boolean;
  readonly isQueued: boolean;
};

/** A task as the model knows it. */
export interface ModelTask {
  fields: ModelFields;
  hasStarted: boolean;
  /** `null` while it is active. */
  daysSinceEnd: number | null;
  daysSinceUpdate: number;
  /** Since the lease began or was prolonged. Every lease lasts a day. */
  daysSinceRenewal: number;
  events: ModelEvent[];
}

/** An event without its time. */
export type ModelEvent = NewTaskEvent & { sequence: number; status: TaskStatus | null };

/** A refusal, by the code of its error. */
export class Refusal {
  constructor(readonly code: 'INVALID' | 'CONFLICT' | 'ILLEGAL_TRANSITION' | 'LIMIT_REACHED') {}
}

/** What must hold for an update. */
export interface ModelGuards {
  readonly expectedVersion?: number | undefined;
  readonly lease?: HeldLease | undefined;
}

const FOLLOWERS: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
  pending: ['running', 'error', 'cancelled'],
  running: ['finished', 'error', 'cancelled'],
  finished: [],
  error: [],
  cancelled: [],
};

/** The contract in its plainest form: a map, scanned for every question. */
export class TaskModel {
  readonly tasks = new Map<string, ModelTask>();

  find(caller: Caller, taskId: string): ModelTask | undefined {
    const task = this.tasks.get(taskId);
    return caller === null || task?.fields.tenantId === caller ? task : undefined;
  }

  countActive(caller: Caller): number {
    return [...this.tasks.values()].filter(
      ({ fields, daysSinceEnd }) =>
        daysSinceEnd === null && (caller === null || fields.tenantId === caller),
    ).length;
  }

  create(
    caller: Caller,
    task: NewTask,
    options: CreateTaskOptions & { readonly events: NewTaskEvent[] },
  ): boolean | Refusal {
    const { maxActiveTasks = Infinity, maxActiveTasksPerTenant = Infinity } = options;
    const { lease, queue = false, events } = options;
    const status = task.status ?? 'pending';
    const tenantId = caller ?? 'default';
    if (queue && status !== 'pending') {
      return new Refusal('INVALID');
    }
    if (this.tasks.has(task.taskId)) {
      return false;
    }
    if (
      this.countActive(null) >= maxActiveTasks ||
      this.countActive(tenantId) >= maxActiveTasksPerTenant
    ) {
      return new Refusal('LIMIT_REACHED');
    }
    const created: ModelTask = {
      fields: {
        taskId: task.taskId,
        tenantId,
        status,
        query: task.query,
        maxSteps: task.maxSteps,
        finalState: null,
        timestampDir: task.timestampDir ?? null,
        executionStatistics: null,
        sandboxInfo: task.sandboxInfo ?? null,
        requestData: task.requestData ?? null,
        conversationHistory: null,
        sealedRequest: task.sealedRequest ?? null,
        result: null,
        error: null,
        leaseOwner: lease?.owner ?? null,
        hasLease: lease !== undefined,
        attempt: lease === undefined ? 0 : 1,
        maxAttempts: task.maxAttempts ?? 1,
        isQueued: queue,
        version: 1,
        lastEventSequence: 0,
      },
      hasStarted: status === 'running',
      daysSinceEnd: null,
      daysSinceUpdate: 0,
      daysSinceRenewal: 0,
      events: [],
    };
    addEvents(created, events, status);
    this.tasks.set(task.taskId, created);
    return true;
  }

  update(
    caller: Caller,
    taskId: string,
    updates: TaskUpdates,
    events: NewTaskEvent[],
    { expectedVersion, lease }: ModelGuards,
  ): boolean | Refusal {
    const task = this.find(caller, taskId);
    if (task === undefined) {
      return false;
    }
    if (expectedVersion !== undefined && expectedVersion !== task.fields.version) {
      return new Refusal('CONFLICT');
    }
    const { status } = updates;
    const isLegal =
      status === undefined
        ? events.length === 0 || task.daysSinceEnd === null
        : FOLLOWERS[task.fields.status].includes(status);
    if (!isLegal) {
      return new Refusal('ILLEGAL_TRANSITION');
    }
    if (!isHeld(task, lease)) {
      return new Refusal('CONFLICT');
    }
    addEvents(task, events, status ?? null);
    const given = Object.entries(updates).filter(([, value]) => value !== undefined);
    Object.assign(task.fields, Object.fromEntries(given), { version: task.fields.version + 1 });
    task.daysSinceUpdate = 0;
    task.hasStarted ||= status === 'running';
    if (status !== undefined && isTerminal(status)) {
      task.daysSinceEnd = 0;
      Object.assign(task.fields, { leaseOwner: null, hasLease: false, sealedRequest: null });
    }
    return true;
  }

  append(
    caller: Caller,
    taskId: string,
    events: NewTaskEvent[],
    lease: HeldLease | undefined,
  ): number | null | Refusal {
    const task = this.find(caller, taskId);
    if (task === undefined) {
      return null;
    }
    if (task.daysSinceEnd !== null) {
      return new Refusal('ILLEGAL_TRANSITION');
    }
    if (!isHeld(task, lease)) {
      return new Refusal('CONFLICT');
    }
    addEvents(task, events, null);
    return task.events.length;
  }

  delete(caller: Caller, taskId: string): boolean {
    return this.find(caller, taskId) !== undefined && this.tasks.delete(taskId);
  }

  listEvents(caller: Caller, taskId: string, afterSequence: number, limit: number): ModelEvent[] {
    const events = this.find(caller, taskId)?.events ?? [];
    return events.filter(({ sequence }) => sequence > afterSequence).slice(0, limit);
  }

  /** The ids of the tasks that a cleanup without a limit would delete. */
  cleanupCandidates(caller: Caller, days: number, { statuses }: CleanupOptions): string[] {
    return [...this.tasks.keys()].filter((taskId) => {
      const task = this.find(caller, taskId);
      return (
        task !== undefined &&
        task.daysSinceEnd !== null &&
        task.daysSinceEnd >= days &&
        (statuses === undefined || statuses.some((status) => status === task.fields.status))
      );
    });
  }

  passDays(days: number): void {
    for (const task of this.tasks.values()) {
      task.daysSinceEnd = task.daysSinceEnd === null ? null : task.daysSinceEnd + days;
      task.daysSinceUpdate += days;
      task.daysSinceRenewal += days;
    }
  }
}

function isHeld({ fields }: ModelTask, lease: HeldLease | undefined): boolean {
  return (
    lease === undefined || (fields.leaseOwner === lease.owner && fields.attempt === lease.attempt)
  );
}

function addEvents(task: ModelTask, events: NewTaskEvent[], status: TaskStatus | null): void {
  events.forEach((event, index) => {
    const isLast = index === events.length - 1;
    task.events.push({
      ...event,
      sequence: task.events.length + 1,
      status: isLast ? status : null,
    });
  });
  Object.assign(task.fields, { lastEventSequence: task.events.length });
}
