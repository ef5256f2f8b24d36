import {
  canStillRun,
  isTerminal,
  parseClaimExpired,
  parseClaimQueued,
  parseRenewal,
  waitsInQueue,
  type ClaimedTask,
  type ClaimExpiredOptions,
  type ClaimQueuedOptions,
  type LeaseTerm,
  type RenewLeasesOptions,
  type Task,
  type TaskLeases,
} from '../../src/index.js';
import type { Data } from './map-data.js';

const MINUTE_MS = 60_000;

/** Who runs which task. Nothing in a method waits, so that each is one atomic step. */
export class MapLeases implements TaskLeases {
  constructor(private readonly data: Data) {}

  async claimQueued(options: ClaimQueuedOptions): Promise<readonly ClaimedTask[]> {
    const active = this.#active();
    const { limit, maxHeldTasks, maxHeldTasksPerTenant, ...term } = parseClaimQueued(options);
    const held = active.filter((task) => task.status === 'running' || task.leaseOwner !== null);
    const claimed: ClaimedTask[] = [];
    for (const task of active.filter(isQueued).toSorted(by('queuedAt'))) {
      const ofTenant = held.filter(({ tenantId }) => tenantId === task.tenantId);
      const isFull =
        claimed.length >= limit ||
        held.length >= (maxHeldTasks ?? Infinity) ||
        ofTenant.length >= (maxHeldTasksPerTenant ?? Infinity);
      if (!isFull) {
        held.push(task);
        claimed.push(this.#claim(task, term));
      }
    }
    return claimed;
  }

  async claimExpired(options: ClaimExpiredOptions): Promise<readonly ClaimedTask[]> {
    const active = this.#active();
    const { limit, resumableAfterMs, staleRunningMinutes, ...term } = parseClaimExpired(options);
    const nowMs = this.data.clock.now().getTime();
    const staleMs = nowMs - (staleRunningMinutes ?? Infinity) * MINUTE_MS;
    const expired = active.filter(
      (task) =>
        task.leaseExpiresAt !== null &&
        task.leaseExpiresAt.getTime() + (canStillRun(task) ? resumableAfterMs : 0) <= nowMs,
    );
    const stale = active.filter(
      ({ status, leaseOwner, updatedAt }) =>
        status === 'running' && leaseOwner === null && updatedAt.getTime() <= staleMs,
    );
    return [...expired.toSorted(by('leaseExpiresAt')), ...stale.toSorted(by('updatedAt'))]
      .slice(0, limit)
      .map((task) => this.#claim(task, term));
  }

  async renew(options: RenewLeasesOptions): Promise<ReadonlyMap<string, number>> {
    const active = this.#active();
    const { owner, leaseMs, taskIds } = parseRenewal(options);
    const leaseExpiresAt = new Date(this.data.clock.now().getTime() + leaseMs);
    const own = active.filter(
      ({ leaseOwner, taskId }) => leaseOwner === owner && taskIds?.includes(taskId) !== false,
    );
    own.forEach((task) => this.data.tasks.set(task.taskId, { ...task, leaseExpiresAt }));
    return new Map(own.map(({ taskId, attempt }) => [taskId, attempt]));
  }

  #active(): Task[] {
    return [...this.data.open().tasks.values()].filter(({ status }) => !isTerminal(status));
  }

  #claim(task: Task, { owner, leaseMs }: LeaseTerm): ClaimedTask {
    const now = this.data.clock.now();
    const claimed: Task = {
      ...task,
      leaseOwner: owner,
      leaseExpiresAt: new Date(now.getTime() + leaseMs),
      attempt: task.attempt + 1,
      version: task.version + 1,
      updatedAt: now,
    };
    this.data.tasks.set(task.taskId, claimed);
    this.data.changes.tell('written', task.taskId);
    return { task: structuredClone(claimed), lostOwner: task.leaseOwner };
  }
}

function isQueued(task: Task): boolean {
  return waitsInQueue(task) && task.leaseOwner === null;
}

/** Orders tasks by a time, the earliest first, and by code point where the times are equal. */
function by(field: 'queuedAt' | 'leaseExpiresAt' | 'updatedAt') {
  const timeOf = (task: Task): number => task[field]?.getTime() ?? 0;
  return (left: Task, right: Task): number =>
    timeOf(left) - timeOf(right) ||
    Buffer.compare(Buffer.from(left.taskId), Buffer.from(right.taskId));
}
