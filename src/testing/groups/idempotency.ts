import assert from 'node:assert/strict';
import type { CreateTaskOptions, TaskOperations } from '../../task/task-storage.js';
import { assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { claimedIds, heldBy, termOf } from '../lease-samples.js';
import { createAs, event, existing, minimalTask } from '../samples.js';

/*
 * A service derives the id of a task from the idempotency key of a request. So a crowd of creations
 * with one id are repetitions of one request: one of them creates the task, with all that belongs
 * to it, and the others learn that it is there, however full the storage is.
 */

const CROWD = 20;

/** Creates one id in a crowd, each with a query and an event of its own. @returns the winners */
async function createInACrowd(
  viewOf: (index: number) => TaskOperations,
  optionsOf: (index: number) => CreateTaskOptions = () => ({}),
): Promise<number[]> {
  const winners: number[] = [];
  const creators = times(CROWD, async (index) => {
    const created = await viewOf(index).createTask(
      minimalTask('task', { query: `query ${index}`, sealedRequest: `sealed ${index}` }),
      { events: [event(`stage ${index}`)], ...optionsOf(index) },
    );
    winners.push(...(created ? [index] : []));
    return created;
  });
  assertSame(await tally(creators), { true: 1, false: CROWD - 1 });
  return winners;
}

/** Fails unless the task is the winner's, and nothing of any other. */
async function assertStored(storage: TaskOperations, [winner]: readonly number[]): Promise<void> {
  const { query, sealedRequest, version, lastEventSequence } = await existing(storage, 'task');
  assertSame(
    [query, sealedRequest, version, lastEventSequence],
    [`query ${winner}`, `sealed ${winner}`, 1, 1],
  );
  const events = await storage.listEvents('task');
  assertSame(
    events.map(({ stage }) => stage),
    [`stage ${winner}`],
  );
}

export const idempotencyGroup: ConformanceGroup = {
  title: 'idempotent creation',
  define(test) {
    test('stores the task of the one that answers true, and nothing of the others', async (setup) => {
      const { storage } = setup;
      await assertStored(storage, await createInACrowd(() => storage));
    });

    test('refuses nobody at a limit that the task itself reaches', async ({ storage }) => {
      const limits = { maxActiveTasks: 1, maxActiveTasksPerTenant: 1 };
      const winners = await createInACrowd(
        () => storage,
        () => limits,
      );
      await assertStored(storage, winners);
      assert.equal(await storage.createTask(minimalTask('task'), limits), false);
    });

    test('answers false for a task that is there when there is no room', async ({ storage }) => {
      await createAs(storage, 'task', 'finished');
      await createAs(storage, 'other', 'running');
      for (const limits of [
        { maxActiveTasks: 0 },
        { maxActiveTasks: 1, queue: true },
        { maxActiveTasksPerTenant: 0 },
        { maxActiveTasksPerTenant: 1, ...heldBy('owner') },
      ]) {
        assert.equal(await storage.createTask(minimalTask('task'), limits), false);
        assert.equal(await storage.forTenant('two').createTask(minimalTask('task'), limits), false);
      }
      const { leaseOwner, queuedAt, status } = await existing(storage, 'task');
      assertSame([leaseOwner, queuedAt, status], [null, null, 'finished']);
    });

    test('queues the task once', async ({ storage }) => {
      const winners = await createInACrowd(
        () => storage,
        () => ({ queue: true }),
      );
      await assertStored(storage, winners);
      const claim = { ...termOf('claimer'), limit: 10 };
      assertSame(claimedIds(await storage.leases.claimQueued(claim)), ['task']);
      assert.equal(await storage.createTask(minimalTask('task'), { queue: true }), false);
      assertSame(await storage.leases.claimQueued(claim), []);
    });

    test('gives the lease to the one that answers true', async ({ storage }) => {
      const winners = await createInACrowd(
        () => storage,
        (index) => heldBy(`owner ${index}`),
      );
      await assertStored(storage, winners);
      const { leaseOwner, attempt } = await existing(storage, 'task');
      assertSame([leaseOwner, attempt], [`owner ${winners[0]}`, 1]);
    });

    test('gives the task to one of two tenants', async ({ storage }) => {
      const tenants = ['one', 'two'] as const;
      const tenantOf = (index: number): 'one' | 'two' => (index % 2 === 0 ? 'one' : 'two');
      const winners = await createInACrowd(
        (index) => storage.forTenant(tenantOf(index)),
        () => ({ maxActiveTasks: 1 }),
      );
      const owner = tenantOf(winners[0] ?? 0);
      await assertStored(storage.forTenant(owner), winners);
      for (const tenantId of tenants.filter((one) => one !== owner)) {
        assert.equal(await storage.forTenant(tenantId).getTask('task'), null);
        assertSame(await storage.forTenant(tenantId).listEvents('task'), []);
      }
    });

    test('begins anew when the task was deleted or cleaned up', async ({ storage }) => {
      await createInACrowd(() => storage);
      await storage.deleteTask('task');
      await assertStored(storage, await createInACrowd(() => storage.forTenant('one')));
      await storage.updateTask('task', { status: 'cancelled' });
      assert.equal(await storage.createTask(minimalTask('task')), false);
      await storage.cleanupOldTasks(0);
      await assertStored(storage, await createInACrowd(() => storage));
    });

    test('answers true once for each time that the task came to be', async ({ storage }) => {
      const creators = times(CROWD, () => storage.createTask(minimalTask('task')));
      const deleters = times(CROWD, () => storage.deleteTask('task'));
      const racers = creators.flatMap((create, index) => [create, deleters[index] ?? create]);
      const answers = await Promise.all(racers.map((race) => race()));
      const created = answers.filter((answer, index) => answer && index % 2 === 0).length;
      const deleted = answers.filter((answer, index) => answer && index % 2 === 1).length;
      assert.equal(created - deleted, (await storage.getTask('task')) === null ? 0 : 1);
    });
  },
};
