import {
  parseClaimExpired,
  parseClaimQueued,
  parseRenewal,
  type ParsedClaimExpired,
  type ParsedClaimQueued,
} from '../../task/lease-input.js';
import { canStillRun } from '../../task/task-lifecycle.js';
import type {
  ClaimedTask,
  ClaimExpiredOptions,
  ClaimQueuedOptions,
  LeaseTerm,
  RenewLeasesOptions,
  TaskLeases,
} from '../../task/task-lease.js';
import type { Memory } from './memory.js';
import { copyTask, type TaskRecord } from './task-record.js';
import type { TaskTable } from './task-table.js';

const MINUTE_MS = 60_000;

/** The leases of one memory: checks and copies. Each call is one step, because nothing in it waits. */
export class MemoryLeases implements TaskLeases {
  constructor(private readonly memory: Memory) {}

  async claimQueued(options: ClaimQueuedOptions): Promise<readonly ClaimedTask[]> {
    const { tasks } = this.memory.open();
    const parsed = parseClaimQueued(options);
    return claimAll(tasks, chooseQueued(tasks, parsed), parsed);
  }

  async claimExpired(options: ClaimExpiredOptions): Promise<readonly ClaimedTask[]> {
    const { tasks } = this.memory.open();
    const parsed = parseClaimExpired(options);
    const nowMs = tasks.now().getTime();
    const expired = chooseExpired(tasks, parsed, nowMs);
    const stale = chooseStale(tasks, parsed.staleRunningMinutes, nowMs);
    return claimAll(tasks, [...expired, ...stale].slice(0, parsed.limit), parsed);
  }

  async renew(options: RenewLeasesOptions): Promise<ReadonlyMap<string, number>> {
    const { tasks } = this.memory.open();
    const { owner, leaseMs, taskIds } = parseRenewal(options);
    const wanted = taskIds === null ? null : new Set(taskIds);
    const own = Array.from(tasks.everyone.leased.ascending()).filter(
      ({ taskId, task }) => task.leaseOwner === owner && wanted?.has(taskId) !== false,
    );
    own.forEach((record) => tasks.renew(record, leaseMs));
    return new Map(own.map(({ taskId, task }) => [taskId, task.attempt]));
  }
}

function claimAll(tasks: TaskTable, chosen: readonly TaskRecord[], term: LeaseTerm): ClaimedTask[] {
  return chosen.map((record) => {
    const lostOwner = record.task.leaseOwner;
    tasks.claim(record, term);
    return { task: copyTask(record.task), lostOwner };
  });
}

function chooseQueued(
  tasks: TaskTable,
  { limit, maxHeldTasks, maxHeldTasksPerTenant }: ParsedClaimQueued,
): TaskRecord[] {
  const room = Math.min(limit, (maxHeldTasks ?? Infinity) - tasks.everyone.heldCount);
  const chosen: TaskRecord[] = [];
  const held = new Map<string, number>();
  for (const record of tasks.everyone.queued.ascending()) {
    if (chosen.length >= room) {
      break;
    }
    const { tenantId } = record.task;
    const heldByThis = held.get(tenantId) ?? tasks.countHeld(tenantId);
    if (heldByThis < (maxHeldTasksPerTenant ?? Infinity)) {
      chosen.push(record);
      held.set(tenantId, heldByThis + 1);
    }
  }
  return chosen;
}

function chooseExpired(
  { everyone }: TaskTable,
  { limit, resumableAfterMs }: ParsedClaimExpired,
  nowMs: number,
): TaskRecord[] {
  const chosen: TaskRecord[] = [];
  for (const record of everyone.leased.ascending()) {
    const { leaseExpiresAt } = record.task;
    const expiredForMs = nowMs - (leaseExpiresAt?.getTime() ?? Infinity);
    if (expiredForMs < 0 || chosen.length >= limit) {
      break;
    }
    if (!canStillRun(record.task) || expiredForMs >= resumableAfterMs) {
      chosen.push(record);
    }
  }
  return chosen;
}

/** @returns the running tasks that nobody holds, the one first that was updated first */
function chooseStale(
  { everyone }: TaskTable,
  staleRunningMinutes: number | null,
  nowMs: number,
): TaskRecord[] {
  if (staleRunningMinutes === null) {
    return [];
  }
  const latestMs = nowMs - staleRunningMinutes * MINUTE_MS;
  return Array.from(everyone.withStatus('running').ascending())
    .filter(({ task }) => task.leaseOwner === null && task.updatedAt.getTime() <= latestMs)
    .toSorted((left, right) => left.task.updatedAt.getTime() - right.task.updatedAt.getTime());
}
