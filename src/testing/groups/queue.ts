import assert from 'node:assert/strict';
import type { ClaimedTask, ClaimQueuedOptions } from '../../task/task-lease.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { assertSame, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import {
  claimedIds,
  createBrieflyHeld,
  heldBy,
  LONG_LEASE_MS,
  queueInOrder,
  termOf,
  waitForLeasesToEnd,
} from '../lease-samples.js';
import { createAs, existing, fullTask, minimalTask } from '../samples.js';

async function claim(
  storage: TaskStorage,
  options: Partial<ClaimQueuedOptions> = {},
): Promise<readonly ClaimedTask[]> {
  return storage.leases.claimQueued({ ...termOf('claimer'), limit: 100, ...options });
}

/** Claims until there is nothing left, many at once. @returns what was claimed in all */
async function claimInACrowd(
  storage: TaskStorage,
  count: number,
  options: Partial<ClaimQueuedOptions>,
): Promise<readonly ClaimedTask[]> {
  const crowd = times(count, (index) => claim(storage, { ...termOf(`${index}`), ...options }));
  return (await Promise.all(crowd.map((start) => start()))).flat();
}

export const queueGroup: ConformanceGroup = {
  title: 'the queue',
  define(test) {
    test('takes a task that waits, and nobody holds it', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), { queue: true });
      const { queuedAt, createdAt, ...task } = await existing(storage, 'task');
      assertSame(queuedAt, createdAt);
      assertSame(
        [task.status, task.leaseOwner, task.leaseExpiresAt, task.attempt, task.version],
        ['pending', null, null, 0, 1],
      );
    });

    test('gives a task to who claims it, as it is', async ({ storage }) => {
      await storage.createTask({ ...fullTask('task'), status: 'pending' }, { queue: true });
      const before = await existing(storage, 'task');
      const claimed = await claim(storage);
      const task = await existing(storage, 'task');
      const { leaseExpiresAt, updatedAt } = task;
      assertSame(claimed, [{ task, lostOwner: null }]);
      assertSame(task, {
        ...before,
        leaseOwner: 'claimer',
        attempt: 1,
        version: 2,
        leaseExpiresAt,
        updatedAt,
      });
      const lastsMs = Number(leaseExpiresAt) - updatedAt.getTime();
      assert.ok(Math.abs(lastsMs - LONG_LEASE_MS) < 60_000, `The lease lasts ${lastsMs} ms`);
    });

    test('gives the task first that was queued first', async ({ storage }) => {
      const order = ['d', 'b', 'e', 'a', 'c'];
      await queueInOrder(storage, order);
      assertSame(claimedIds(await claim(storage, { limit: 1 })), order.slice(0, 1));
      assertSame(claimedIds(await claim(storage, { limit: 3 })), order.slice(1, 4));
      assertSame(claimedIds(await claim(storage, { limit: 3 })), order.slice(4));
      assertSame(await claim(storage), []);
    });

    test('gives the tasks of all tenants in one order', async ({ storage }) => {
      await queueInOrder(storage, ['c', 'b', 'a'], (taskId) => (taskId === 'b' ? 'one' : 'two'));
      assertSame(claimedIds(await claim(storage)), ['c', 'b', 'a']);
    });

    test('holds only what was queued, and only once', async ({ storage }) => {
      await createAs(storage, 'waiting', 'pending');
      await createAs(storage, 'running', 'running');
      await storage.createTask(minimalTask('held'), heldBy('holder'));
      await storage.createTask(minimalTask('started'), { queue: true });
      await storage.updateTask('started', { status: 'running' });
      assertSame(await claim(storage), []);
      await storage.createTask(minimalTask('queued'), { queue: true });
      assertSame(claimedIds(await claim(storage)), ['queued']);
      await storage.updateTask('queued', { query: 'changed' });
      assertSame(await claim(storage), []);
    });

    test('gives no task that was cancelled, has failed or was deleted', async ({ storage }) => {
      await queueInOrder(storage, ['cancelled', 'error', 'deleted', 'last']);
      await storage.updateTask('cancelled', { status: 'cancelled' });
      await storage.updateTask('error', { status: 'error' });
      await storage.deleteTask('deleted');
      assertSame(claimedIds(await claim(storage)), ['last']);
      const { leaseOwner, attempt, queuedAt } = await existing(storage, 'cancelled');
      assertSame([leaseOwner, attempt, queuedAt !== null], [null, 0, true]);
    });

    test('gives no task that is cancelled before its turn', async ({ storage }) => {
      await queueInOrder(storage, ['a', 'b', 'c']);
      assertSame(claimedIds(await claim(storage, { limit: 1 })), ['a']);
      await storage.updateTask('b', { status: 'cancelled' });
      await storage.updateTask('a', { status: 'cancelled' });
      assertSame(claimedIds(await claim(storage)), ['c']);
    });

    test('gives each task or lets it be cancelled, whoever comes first', async ({ storage }) => {
      const taskIds = Array.from({ length: 20 }, (_, index) => `${index}`);
      await Promise.all(
        taskIds.map((taskId) => storage.createTask(minimalTask(taskId), { queue: true })),
      );
      const claims: ClaimedTask[] = [];
      const cancellations = taskIds.map(
        (taskId) => async () => storage.updateTask(taskId, { status: 'cancelled' }),
      );
      const claimers = times(taskIds.length, async () => {
        claims.push(...(await claim(storage, { limit: 1 })));
      });
      const racers = cancellations.flatMap((cancel, index) => [claimers[index] ?? cancel, cancel]);
      await Promise.all(racers.map(async (race) => race()));
      assert.equal(new Set(claimedIds(claims)).size, claims.length, 'A task was claimed twice');
      for (const { task } of claims) {
        assert.equal(task.status, 'pending', 'A task was claimed after it was cancelled');
      }
      for (const taskId of taskIds) {
        const { status, leaseOwner } = await existing(storage, taskId);
        assertSame([status, leaseOwner], ['cancelled', null]);
      }
    });

    test('gives each task to one of a crowd of claimers', async ({ storage }) => {
      const taskIds = Array.from({ length: 30 }, (_, index) => `${index + 10}`);
      await Promise.all(
        taskIds.map((taskId) => storage.createTask(minimalTask(taskId), { queue: true })),
      );
      const claimed = await claimInACrowd(storage, 20, { limit: 3 });
      const all = [...claimed, ...(await claim(storage))];
      assertSame(claimedIds(all).toSorted(), taskIds);
      for (const { task } of all) {
        assertSame(await existing(storage, task.taskId), task);
        assert.equal(task.attempt, 1);
      }
    });

    test('gives no more than may be held, by whomever', async ({ storage }) => {
      await createAs(storage, 'running', 'running');
      await createAs(storage, 'waiting', 'pending');
      await createAs(storage, 'ended', 'finished');
      await storage.createTask(minimalTask('held'), heldBy('other'));
      await createBrieflyHeld(storage, 'expired', 'lost');
      await waitForLeasesToEnd(storage);
      await queueInOrder(storage, ['a', 'b', 'c', 'd']);
      for (const maxHeldTasks of [0, 2, 3]) {
        assertSame(await claim(storage, { maxHeldTasks }), []);
      }
      assertSame(claimedIds(await claim(storage, { maxHeldTasks: 5 })), ['a', 'b']);
      assertSame(await claim(storage, { maxHeldTasks: 5 }), []);
      await storage.updateTask('running', { status: 'finished' });
      await storage.updateTask('a', { status: 'running' });
      assertSame(claimedIds(await claim(storage, { maxHeldTasks: 5 })), ['c']);
      assertSame(claimedIds(await claim(storage)), ['d']);
    });

    test('passes over a tenant that holds as much as it may', async ({ storage }) => {
      const one = storage.forTenant('one');
      await createAs(one, 'one running', 'running');
      await storage.forTenant('two').createTask(minimalTask('two held'), heldBy('other'));
      const order = 'one a,one b,one c,two a,two b,three a,three b,three c'.split(',');
      await queueInOrder(storage, order, (taskId) => taskId.split(' ')[0]);
      const maxHeldTasksPerTenant = 2;
      assertSame(await claim(storage, { maxHeldTasksPerTenant: 0 }), []);
      const first = await claim(storage, { maxHeldTasksPerTenant, limit: 3 });
      assertSame(claimedIds(first), ['one a', 'two a', 'three a']);
      assertSame(claimedIds(await claim(storage, { maxHeldTasksPerTenant })), ['three b']);
      assertSame(await claim(storage, { maxHeldTasksPerTenant }), []);

      await storage.updateTask('one running', { status: 'error' });
      assertSame(claimedIds(await claim(storage, { maxHeldTasksPerTenant })), ['one b']);
    });

    test('keeps to the limit of a crowd of claimers', async ({ storage }) => {
      for (let index = 0; index < 20; index += 1) {
        await storage.createTask(minimalTask(`${index}`), { queue: true });
      }
      const claimed = await claimInACrowd(storage, 12, { limit: 3, maxHeldTasks: 5 });
      assert.equal(new Set(claimedIds(claimed)).size, claimed.length, 'A task was claimed twice');
      assert.equal(claimed.length, 5);
    });

    test('keeps to the limit of each tenant in a crowd of claimers', async ({ storage }) => {
      for (let index = 0; index < 24; index += 1) {
        const tenantId = `tenant ${index % 3}`;
        await storage.createTask(minimalTask(`${index}`, { tenantId }), { queue: true });
      }
      const limits = { maxHeldTasksPerTenant: 2, maxHeldTasks: 100 };
      const claimed = await claimInACrowd(storage, 12, { limit: 2, ...limits });
      const tenants = claimed.map(({ task }) => task.tenantId).toSorted();
      assertSame(
        tenants,
        ['tenant 0', 'tenant 1', 'tenant 2'].flatMap((tenantId) => [tenantId, tenantId]),
      );
    });

    test('does not give a task again whose lease has ended', async ({ storage }) => {
      await storage.createTask(minimalTask('task', { maxAttempts: 2 }), { queue: true });
      assertSame(claimedIds(await claim(storage, { leaseMs: 1 })), ['task']);
      await waitForLeasesToEnd(storage);
      assertSame(await claim(storage), []);
      const [taken] = await storage.leases.claimExpired({ ...termOf('other'), limit: 1 });
      assertSame(
        [taken?.task.taskId, taken?.task.attempt, taken?.lostOwner],
        ['task', 2, 'claimer'],
      );
    });
  },
};
