import assert from 'node:assert/strict';
import { LeaseLostError } from '../task/errors.js';
import type { ClaimedTask, HeldLease, LeaseTerm } from '../task/task-lease.js';
import type { CreateTaskOptions, TaskOperations, TaskStorage } from '../task/task-storage.js';
import type { NewTask } from '../task/task.js';
import { assertRejects } from './assertions.js';
import { eventually } from './eventually.js';
import { existing, minimalTask } from './samples.js';

/** A lease that does not end while a test runs: a day. */
export const LONG_LEASE_MS = 86_400_000;

/** What a process asks for. */
export function termOf(owner: string, leaseMs = LONG_LEASE_MS): LeaseTerm {
  return { owner, leaseMs };
}

/** The option that claims a new task for the process. */
export function heldBy(owner: string, leaseMs?: number): Pick<CreateTaskOptions, 'lease'> {
  return { lease: termOf(owner, leaseMs) };
}

/** The option that writes only while the process holds the task. */
export function whileHeldBy(owner: string, attempt = 1): { lease: HeldLease } {
  return { lease: { owner, attempt } };
}

/** The ids of claimed tasks, in their order. */
export function claimedIds(claimed: readonly ClaimedTask[]): string[] {
  return claimed.map(({ task }) => task.taskId);
}

/** Fails unless the operation rejects because the lease is lost to `owner`, or to nobody. */
export async function assertLeaseLost(
  owner: string | null,
  operation: () => Promise<unknown>,
): Promise<void> {
  const error = await assertRejects('CONFLICT', operation);
  assert.ok(error instanceof LeaseLostError, `The error must be a LeaseLostError: ${error.name}`);
  assert.equal(error.actualOwner, owner);
}

/**
 * Creates a task that the process holds for a millisecond only, and that may be attempted again.
 *
 * @see waitForLeasesToEnd
 */
export async function createBrieflyHeld(
  storage: TaskOperations,
  taskId: string,
  owner: string,
  fields: Partial<NewTask> = {},
): Promise<void> {
  const task = minimalTask(taskId, { maxAttempts: 9, ...fields });
  assert.equal(await storage.createTask(task, heldBy(owner, 1)), true);
}

/**
 * Waits until every lease has ended that ends no later than one of `leaseMs` from now. Tasks that
 * can still be run stay as they are; the others are claimed meanwhile.
 *
 * @returns the ids of those that were claimed
 */
export async function waitForLeasesToEnd(storage: TaskStorage, leaseMs = 1): Promise<string[]> {
  await storage.createTask(minimalTask('probe', { maxAttempts: 1 }), heldBy('prober', leaseMs));
  const options = { ...termOf('prober'), limit: 1000, resumableAfterMs: LONG_LEASE_MS };
  const claimed: string[] = [];
  await eventually(
    'A lease has ended, and its task can be claimed',
    async () => claimed.push(...claimedIds(await storage.leases.claimExpired(options))),
    () => claimed.includes('probe'),
  );
  await storage.deleteTask('probe');
  return claimed.filter((taskId) => taskId !== 'probe');
}

/** Queues tasks so that the time of each is a later millisecond than that of the one before. */
export async function queueInOrder(
  storage: TaskOperations,
  taskIds: readonly string[],
  tenantOf: (taskId: string) => string | undefined = () => undefined,
): Promise<void> {
  let lastMs = 0;
  for (const taskId of taskIds) {
    let queuedMs = 0;
    do {
      await storage.deleteTask(taskId);
      await storage.createTask(minimalTask(taskId, { tenantId: tenantOf(taskId) }), {
        queue: true,
      });
      queuedMs = (await existing(storage, taskId)).queuedAt?.getTime() ?? Infinity;
    } while (queuedMs <= lastMs);
    lastMs = queuedMs;
  }
}
