import assert from 'node:assert/strict';
import { TaskConflictError } from '../../task/errors.js';
import { TERMINAL_STATUSES } from '../../task/task-lifecycle.js';
import { assertRejects, assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import {
  assertLeaseLost,
  claimedIds,
  createBrieflyHeld,
  heldBy,
  LONG_LEASE_MS,
  termOf,
  waitForLeasesToEnd,
  whileHeldBy,
} from '../lease-samples.js';
import { createAs, event, existing, fullTask, minimalTask } from '../samples.js';

const MINUTE_MS = 60_000;

export const leasesGroup: ConformanceGroup = {
  title: 'leases',
  define(test) {
    for (const status of ['pending', 'running'] as const) {
      test(`are held by the creator of a ${status} task, in its first attempt`, async (setup) => {
        const { storage } = setup;
        await storage.createTask(minimalTask('task', { status }), heldBy('creator'));
        const { leaseExpiresAt, createdAt, ...task } = await existing(storage, 'task');
        assertSame(
          [task.leaseOwner, task.attempt, task.version, task.queuedAt, task.status],
          ['creator', 1, 1, null, status],
        );
        assert.ok(leaseExpiresAt !== null, 'A held task must have leaseExpiresAt');
        const lastsMs = leaseExpiresAt.getTime() - createdAt.getTime();
        assert.ok(Math.abs(lastsMs - LONG_LEASE_MS) < MINUTE_MS, `The lease lasts ${lastsMs} ms`);
      });
    }

    test('let their holder write', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), heldBy('holder'));
      const guard = whileHeldBy('holder');
      assert.equal(await storage.updateTask('task', { status: 'running' }, guard), true);
      assert.equal(await storage.appendEvents('task', [event('step')], guard), 1);
      const { leaseOwner, attempt, status } = await existing(storage, 'task');
      assertSame([leaseOwner, attempt, status], ['holder', 1, 'running']);
    });

    test('let nobody else write, and nothing of what came along', async ({ storage }) => {
      await storage.createTask(minimalTask('task', { status: 'running' }), heldBy('holder'));
      await storage.createTask(minimalTask('free', { status: 'running' }));
      for (const [taskId, holder, guard] of [
        ['task', 'holder', whileHeldBy('other')],
        ['task', 'holder', whileHeldBy('Holder')],
        ['task', 'holder', whileHeldBy('holder', 2)],
        ['free', null, whileHeldBy('holder')],
      ] as const) {
        const before = await existing(storage, taskId);
        const events = [event('late')];
        await assertLeaseLost(holder, () => storage.updateTask(taskId, { query: 'new' }, guard));
        await assertLeaseLost(holder, () =>
          storage.updateTask(taskId, { status: 'finished' }, { ...guard, events }),
        );
        await assertLeaseLost(holder, () => storage.appendEvents(taskId, events, guard));
        assertSame(await existing(storage, taskId), before);
        assertSame(await storage.listEvents(taskId), []);
      }
    });

    test('keep nobody from writing who does not ask for one', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), heldBy('holder'));
      const { leaseExpiresAt } = await existing(storage, 'task');
      await storage.updateTask('task', { query: 'changed', status: 'running' });
      assert.equal(await storage.appendEvents('task', [event('step')]), 1);
      const task = await existing(storage, 'task');
      assertSame(
        [task.leaseOwner, task.attempt, task.leaseExpiresAt],
        ['holder', 1, leaseExpiresAt],
      );
    });

    test('are looked at last', async ({ storage }) => {
      const guard = whileHeldBy('nobody');
      const events = [event('late')];
      assert.equal(await storage.updateTask('task', {}, guard), false);
      assert.equal(await storage.appendEvents('task', events, guard), null);
      await storage.forTenant('one').createTask(minimalTask('task'), heldBy('holder'));
      const other = storage.forTenant('two');
      assert.equal(await other.updateTask('task', {}, guard), false);
      assert.equal(await other.appendEvents('task', events, guard), null);

      const outdated = { ...guard, expectedVersion: 9 };
      const error = await assertRejects('CONFLICT', () => storage.updateTask('task', {}, outdated));
      assert.ok(error instanceof TaskConflictError, 'The version must be looked at first');
      await assertRejects('ILLEGAL_TRANSITION', () =>
        storage.updateTask('task', { status: 'finished' }, guard),
      );
    });

    for (const end of TERMINAL_STATUSES) {
      test(`end with a task that becomes ${end}, and so does what is sealed`, async (setup) => {
        const { storage } = setup;
        await storage.createTask(fullTask('task'), heldBy('holder'));
        const before = await existing(storage, 'task');
        assert.notEqual(before.sealedRequest, null, 'An active task must keep what is sealed');
        const guard = whileHeldBy('holder');
        assert.equal(await storage.updateTask('task', { status: end }, guard), true);
        const { leaseOwner, leaseExpiresAt, sealedRequest, attempt, maxAttempts } = await existing(
          storage,
          'task',
        );
        assertSame([leaseOwner, leaseExpiresAt, sealedRequest], [null, null, null]);
        assertSame([attempt, maxAttempts], [1, before.maxAttempts]);

        const events = [event('late')];
        await assertLeaseLost(null, () => storage.updateTask('task', { result: 'late' }, guard));
        await assertRejects('ILLEGAL_TRANSITION', () =>
          storage.updateTask('task', {}, { ...guard, events }),
        );
        await assertRejects('ILLEGAL_TRANSITION', () =>
          storage.appendEvents('task', events, guard),
        );
        assert.equal(await storage.updateTask('task', { result: 'late' }), true);
        assertSame([...(await storage.leases.renew(termOf('holder'))).keys()], []);
      });
    }

    test('fence off the owner that lost one', async ({ storage }) => {
      await createBrieflyHeld(storage, 'task', 'slow', { status: 'running' });
      await waitForLeasesToEnd(storage);
      const options = { ...termOf('quick'), limit: 1 };
      assertSame(claimedIds(await storage.leases.claimExpired(options)), ['task']);
      const before = await existing(storage, 'task');
      const late = whileHeldBy('slow');
      const events = [event('late')];
      await assertLeaseLost('quick', () => storage.updateTask('task', { result: 'late' }, late));
      await assertLeaseLost('quick', () =>
        storage.updateTask('task', { status: 'finished' }, { ...late, events }),
      );
      await assertLeaseLost('quick', () => storage.appendEvents('task', events, late));
      await assertLeaseLost('quick', () => storage.updateTask('task', {}, whileHeldBy('quick')));
      await assertLeaseLost('quick', () => storage.updateTask('task', {}, whileHeldBy('slow', 2)));
      assertSame(await existing(storage, 'task'), before);
      assertSame(await storage.listEvents('task'), []);

      const held = whileHeldBy('quick', 2);
      assert.equal(await storage.appendEvents('task', events, held), 1);
      assert.equal(await storage.updateTask('task', { status: 'finished' }, held), true);
    });

    test('fence off an owner that lost one and got it back', async ({ storage }) => {
      await createBrieflyHeld(storage, 'task', 'owner');
      await waitForLeasesToEnd(storage);
      await storage.leases.claimExpired({ ...termOf('owner'), limit: 1 });
      await assertLeaseLost('owner', () => storage.updateTask('task', {}, whileHeldBy('owner', 1)));
      assert.equal(await storage.updateTask('task', {}, whileHeldBy('owner', 2)), true);
    });

    test('are held on when they have ended, until somebody takes them over', async (setup) => {
      const { storage } = setup;
      await createBrieflyHeld(storage, 'task', 'slow');
      await waitForLeasesToEnd(storage);
      const guard = whileHeldBy('slow');
      assert.equal(await storage.updateTask('task', { query: 'changed' }, guard), true);
      assert.equal(await storage.appendEvents('task', [event('step')], guard), 1);
      assertSame([...(await storage.leases.renew(termOf('slow')))], [['task', 1]]);
      const claim = { ...termOf('quick'), limit: 10 };
      assertSame(await storage.leases.claimExpired(claim), []);
      assert.equal(await storage.updateTask('task', { query: 'more' }, guard), true);
    });

    test('are renewed all at once, those of the owner alone', async ({ storage }) => {
      for (const [taskId, owner, tenantId] of [
        ['a', 'owner', 'one'],
        ['b', 'owner', 'two'],
        ['foreign', 'Owner', 'one'],
      ] as const) {
        await storage.createTask(minimalTask(taskId, { tenantId }), heldBy(owner, MINUTE_MS));
      }
      await createAs(storage, 'free', 'running');
      await storage.createTask(minimalTask('ended'), heldBy('owner'));
      await storage.updateTask('ended', { status: 'error' });
      await storage.updateTask('b', { status: 'running' });
      const others = ['foreign', 'free', 'ended'];
      const before = await Promise.all(others.map((taskId) => existing(storage, taskId)));
      const beforeOwn = await Promise.all(['a', 'b'].map((taskId) => existing(storage, taskId)));

      const renewed = await storage.leases.renew(termOf('owner'));
      assertSame(Object.fromEntries(renewed), { a: 1, b: 1 });
      assertSame(await Promise.all(others.map((taskId) => existing(storage, taskId))), before);
      for (const task of beforeOwn) {
        const { leaseExpiresAt, ...after } = await existing(storage, task.taskId);
        assertSame({ ...after, leaseExpiresAt: task.leaseExpiresAt }, task);
        const gainedMs = Number(leaseExpiresAt) - Number(task.leaseExpiresAt);
        assert.ok(gainedMs > LONG_LEASE_MS / 2, `The lease was prolonged by ${gainedMs} ms`);
      }
    });

    test('are renewed for the tasks asked for alone', async ({ storage }) => {
      for (const taskId of ['a', 'b', 'c']) {
        await storage.createTask(minimalTask(taskId), heldBy('owner', MINUTE_MS));
      }
      await storage.createTask(minimalTask('foreign'), heldBy('other', MINUTE_MS));
      await storage.createTask(minimalTask('ended'), heldBy('owner', MINUTE_MS));
      await storage.updateTask('ended', { status: 'cancelled' });
      const before = await Promise.all(['b', 'foreign'].map((id) => existing(storage, id)));
      const endOf = async (taskId: string): Promise<number> =>
        Number((await existing(storage, taskId)).leaseExpiresAt);
      const endBefore = await endOf('a');

      assert.equal((await storage.leases.renew({ ...termOf('owner'), taskIds: [] })).size, 0);
      assert.equal(await endOf('a'), endBefore);
      const taskIds = ['a', 'foreign', 'ended', 'missing', 'c', 'a', '🦊'];
      const renewed = await storage.leases.renew({ ...termOf('owner'), taskIds });
      assertSame(Object.fromEntries(renewed), { a: 1, c: 1 });
      assert.ok((await endOf('a')) - endBefore > LONG_LEASE_MS / 2, 'The lease was prolonged');
      const after = await Promise.all(['b', 'foreign'].map((id) => existing(storage, id)));
      assertSame(after, before);
    });

    test('are renewed for nobody who holds none', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), heldBy('holder'));
      assert.equal((await storage.leases.renew(termOf('other'))).size, 0);
      await createBrieflyHeld(storage, 'lost', 'other');
      await waitForLeasesToEnd(storage);
      await storage.leases.claimExpired({ ...termOf('holder'), limit: 1 });
      assert.equal((await storage.leases.renew(termOf('other'))).size, 0);
      const held = await storage.leases.renew(termOf('holder'));
      assertSame(Object.fromEntries(held), { lost: 2, task: 1 });
    });
  },
};
