import assert from 'node:assert/strict';
import type { ClaimedTask, ClaimExpiredOptions } from '../../task/task-lease.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { assertSame, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { eventually } from '../eventually.js';
import {
  claimedIds,
  createBrieflyHeld,
  heldBy,
  LONG_LEASE_MS,
  termOf,
  waitForLeasesToEnd,
} from '../lease-samples.js';
import { createAs, existing, minimalTask } from '../samples.js';

const MINUTES_PER_DAY = 1440;

async function claim(
  storage: TaskStorage,
  options: Partial<ClaimExpiredOptions> = {},
): Promise<readonly ClaimedTask[]> {
  return storage.leases.claimExpired({ ...termOf('claimer'), limit: 100, ...options });
}

export const expiredLeasesGroup: ConformanceGroup = {
  title: 'expired leases',
  define(test) {
    for (const status of ['pending', 'running'] as const) {
      test(`give a ${status} task to who claims it, as it is`, async ({ storage }) => {
        await createBrieflyHeld(storage, 'task', 'lost', { status, tenantId: 'one' });
        await waitForLeasesToEnd(storage);
        const before = await existing(storage, 'task');
        const [claimed, ...others] = await claim(storage);
        const task = await existing(storage, 'task');
        assertSame(others, []);
        assertSame(claimed, { task, lostOwner: 'lost' });
        const { leaseExpiresAt, updatedAt } = task;
        assertSame(task, {
          ...before,
          leaseOwner: 'claimer',
          attempt: 2,
          version: 2,
          leaseExpiresAt,
          updatedAt,
        });
        const gainedMs = Number(leaseExpiresAt) - Number(before.leaseExpiresAt);
        assert.ok(gainedMs > LONG_LEASE_MS / 2, `The lease was prolonged by ${gainedMs} ms`);
        assert.ok(updatedAt >= before.updatedAt, 'A claim must set updatedAt');
        assertSame(await claim(storage), []);
      });
    }

    test('are the only ones that are claimed', async ({ storage }) => {
      await storage.createTask(minimalTask('held'), heldBy('holder'));
      await storage.createTask(minimalTask('running', { status: 'running' }), heldBy('holder'));
      await createAs(storage, 'free', 'running');
      await createAs(storage, 'waiting', 'pending');
      await storage.createTask(minimalTask('queued'), { queue: true });
      await createBrieflyHeld(storage, 'expired', 'lost');
      await waitForLeasesToEnd(storage);
      assertSame(claimedIds(await claim(storage)), ['expired']);
      assertSame(await claim(storage), []);
    });

    test('of ended and deleted tasks are claimed by nobody', async ({ storage }) => {
      for (const taskId of ['finished', 'cancelled', 'deleted', 'active']) {
        await createBrieflyHeld(storage, taskId, 'lost', { status: 'running' });
      }
      await storage.updateTask('finished', { status: 'finished' });
      await storage.updateTask('cancelled', { status: 'cancelled' });
      await storage.deleteTask('deleted');
      await waitForLeasesToEnd(storage);
      assertSame(claimedIds(await claim(storage)), ['active']);
    });

    test('are claimed in the order of their ends, as many as the limit says', async (setup) => {
      const { storage } = setup;
      for (const [taskId, leaseMs] of [
        ['b', 90],
        ['c', 60],
        ['a', 30],
        ['d', 1],
      ] as const) {
        await storage.createTask(minimalTask(taskId, { maxAttempts: 2 }), heldBy('lost', leaseMs));
      }
      const { tasks } = await storage.listTasks();
      const expected = tasks
        .toSorted((left, right) => Number(left.leaseExpiresAt) - Number(right.leaseExpiresAt))
        .map(({ taskId }) => taskId);
      await waitForLeasesToEnd(storage, 91);
      assertSame(claimedIds(await claim(storage, { limit: 1 })), expected.slice(0, 1));
      assertSame(claimedIds(await claim(storage, { limit: 2 })), expected.slice(1, 3));
      assertSame(claimedIds(await claim(storage, { limit: 2 })), expected.slice(3));
    });

    test('of a task that may be attempted again wait for who can', async ({ storage }) => {
      await createBrieflyHeld(storage, 'resumable', 'lost', { maxAttempts: 2 });
      await createBrieflyHeld(storage, 'exhausted', 'lost', { maxAttempts: 1 });
      assertSame(await waitForLeasesToEnd(storage), ['exhausted']);
      assertSame(claimedIds(await claim(storage, { leaseMs: 1 })), ['resumable']);
      assertSame(await waitForLeasesToEnd(storage), ['resumable']);
      assert.equal((await existing(storage, 'resumable')).attempt, 3);
    });

    test('of a queued task that nobody has ever run wait for who can, too', async (setup) => {
      const { storage } = setup;
      for (const taskId of ['claimed', 'started']) {
        await storage.createTask(minimalTask(taskId), { queue: true });
      }
      const options = { ...termOf('lost', 1), limit: 2 };
      assert.equal((await storage.leases.claimQueued(options)).length, 2);
      await storage.updateTask('started', { status: 'running' });
      assertSame(await waitForLeasesToEnd(storage), ['started']);
      assertSame(claimedIds(await claim(storage)), ['claimed']);
    });

    test('raise the attempt with each claim', async ({ storage }) => {
      await createBrieflyHeld(storage, 'task', 'owner 1');
      for (const attempt of [2, 3, 4]) {
        const [claimed] = await eventually(
          'The lease has ended',
          () => claim(storage, termOf(`owner ${attempt}`, 1)),
          ({ length }) => length === 1,
        );
        const { leaseOwner, version } = await existing(storage, 'task');
        assertSame(
          [claimed?.task.attempt, claimed?.lostOwner, leaseOwner, version],
          [attempt, `owner ${attempt - 1}`, `owner ${attempt}`, attempt],
        );
      }
    });

    test('go to one of a crowd of claimers each', async ({ storage }) => {
      const taskIds = Array.from({ length: 20 }, (_, index) => `task ${index + 10}`);
      for (const taskId of taskIds) {
        await createBrieflyHeld(storage, taskId, 'lost');
      }
      await waitForLeasesToEnd(storage);
      const crowd = times(15, (index) =>
        claim(storage, { ...termOf(`claimer ${index}`), limit: 3 }),
      );
      const answers = await Promise.all(crowd.map((start) => start()));
      const rest = await claim(storage);
      const claimed = [...answers.flat(), ...rest];
      assertSame(claimedIds(claimed).toSorted(), taskIds);
      for (const { task } of claimed) {
        assertSame(await existing(storage, task.taskId), task);
        assert.equal(task.attempt, 2);
      }
    });
  },
};

export const staleLeasesGroup: ConformanceGroup = {
  title: 'expired leases as time passes',
  requires: 'ages',
  define(test) {
    test('say when a task that nobody holds has been running for too long', async (setup) => {
      const { storage, passDays } = setup;
      for (const status of ['pending', 'running', 'finished'] as const) {
        await createAs(storage, `old ${status}`, status);
      }
      await storage.createTask(minimalTask('old queued'), { queue: true });
      await createAs(storage, 'updated', 'running');
      await passDays(1);
      await createAs(storage, 'new running', 'running');
      await storage.updateTask('updated', { result: 'a step' });
      assertSame(await claim(storage), []);
      assertSame(await claim(storage, { staleRunningMinutes: MINUTES_PER_DAY + 60 }), []);

      const before = await existing(storage, 'old running');
      const claimed = await claim(storage, { staleRunningMinutes: MINUTES_PER_DAY });
      const task = await existing(storage, 'old running');
      assertSame(claimed, [{ task, lostOwner: null }]);
      assertSame(
        [task.leaseOwner, task.attempt, task.status, task.version, task.startedAt],
        ['claimer', 1, 'running', 2, before.startedAt],
      );
      assertSame(await claim(storage, { staleRunningMinutes: MINUTES_PER_DAY }), []);
    });

    test('give stale tasks to one of a crowd each, as many as the limit says', async (setup) => {
      const { storage, passDays } = setup;
      for (let index = 0; index < 9; index += 1) {
        await createAs(storage, `task ${index}`, 'running');
      }
      await passDays(1);
      const staleRunningMinutes = 1;
      const first = await claim(storage, { staleRunningMinutes, limit: 4 });
      assert.equal(first.length, 4);
      const crowd = times(5, () => claim(storage, { staleRunningMinutes, limit: 2 }));
      const answers = await Promise.all(crowd.map((start) => start()));
      const rest = await claim(storage, { staleRunningMinutes });
      const claimed = claimedIds([...first, ...answers.flat(), ...rest]);
      assert.equal(claimed.length, 9);
      assert.equal(new Set(claimed).size, 9);
    });

    test('let a task that may be attempted again go after the days asked for', async (setup) => {
      const { storage, passDays } = setup;
      await storage.createTask(minimalTask('task', { maxAttempts: 2 }), heldBy('lost'));
      assertSame(await claim(storage), []);
      await passDays(1);
      assertSame(await claim(storage, { resumableAfterMs: LONG_LEASE_MS }), []);
      await passDays(1);
      const claimed = await claim(storage, { resumableAfterMs: LONG_LEASE_MS });
      assertSame(claimedIds(claimed), ['task']);
    });
  },
};
