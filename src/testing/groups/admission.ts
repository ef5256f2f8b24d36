import assert from 'node:assert/strict';
import { TaskLimitReachedError } from '../../task/errors.js';
import { assertRejects, assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { heldBy } from '../lease-samples.js';
import { createAs, event, minimalTask, storedIds } from '../samples.js';

export const admissionGroup: ConformanceGroup = {
  title: 'admission',
  define(test) {
    test('refuses a task when so many are active, and stores nothing of it', async (setup) => {
      const { storage } = setup;
      await createAs(storage, 'a', 'pending');
      await createAs(storage, 'b', 'running');
      const options = { maxActiveTasks: 2, events: [event('starting')] };
      const create = () => storage.createTask(minimalTask('c'), options);
      const error = await assertRejects('LIMIT_REACHED', create);
      assert.ok(error instanceof TaskLimitReachedError);
      assert.equal(error.limit, 2);
      assertSame(await storedIds(storage), ['a', 'b']);
      assertSame(await storage.listEvents('c'), []);

      await storage.updateTask('a', { status: 'cancelled' });
      assert.equal(await create(), true);
      await assertRejects('LIMIT_REACHED', () =>
        storage.createTask(minimalTask('d'), { maxActiveTasks: 2 }),
      );
    });

    test('does not count ended tasks', async ({ storage }) => {
      for (const status of ['finished', 'error', 'cancelled'] as const) {
        await createAs(storage, status, status);
      }
      assert.equal(await storage.createTask(minimalTask('a'), { maxActiveTasks: 1 }), true);
    });

    test('admits nobody at a limit of 0', async ({ storage }) => {
      await assertRejects('LIMIT_REACHED', () =>
        storage.createTask(minimalTask('a'), { maxActiveTasks: 0 }),
      );
    });

    test('knows no limit that it is not given', async ({ storage }) => {
      await createAs(storage, 'a', 'pending');
      assert.equal(await storage.createTask(minimalTask('b')), true);
      assert.equal(await storage.createTask(minimalTask('c'), { maxActiveTasks: 3 }), true);
    });

    test('answers false for a taken id before it looks at the limit', async ({ storage }) => {
      await createAs(storage, 'a', 'pending');
      assert.equal(await storage.createTask(minimalTask('a'), { maxActiveTasks: 1 }), false);
    });

    test('refuses an invalid task as invalid, at the limit too', async ({ storage }) => {
      await assertRejects('INVALID', () =>
        storage.createTask(minimalTask('', {}), { maxActiveTasks: 0 }),
      );
    });

    test('counts the tasks of all tenants', async ({ storage }) => {
      await createAs(storage.forTenant('one'), 'a', 'running');
      await assertRejects('LIMIT_REACHED', () =>
        storage.forTenant('two').createTask(minimalTask('b'), { maxActiveTasks: 1 }),
      );
      await assertRejects('LIMIT_REACHED', () =>
        storage.createTask(minimalTask('b'), { maxActiveTasks: 1 }),
      );
    });

    test('refuses a task when so many of its tenant are active', async ({ storage }) => {
      const options = { maxActiveTasksPerTenant: 2, events: [event('starting')] };
      await createAs(storage, 'a', 'running', { tenantId: 'one' });
      await storage.forTenant('one').createTask(minimalTask('b'), { queue: true });
      await createAs(storage, 'ended', 'finished', { tenantId: 'one' });
      for (const create of [
        () => storage.forTenant('one').createTask(minimalTask('c'), options),
        () => storage.createTask(minimalTask('c', { tenantId: 'one' }), options),
      ]) {
        const error = await assertRejects('LIMIT_REACHED', create);
        assert.ok(error instanceof TaskLimitReachedError);
        assert.equal(error.limit, 2);
      }
      assertSame(await storage.listEvents('c'), []);
      assert.equal(await storage.forTenant('two').createTask(minimalTask('c'), options), true);
      assert.equal(await storage.createTask(minimalTask('d'), options), true);
      assert.equal(await storage.forTenant('one').createTask(minimalTask('a'), options), false);

      await storage.updateTask('b', { status: 'cancelled' });
      assert.equal(await storage.forTenant('one').createTask(minimalTask('e'), options), true);
    });

    test('looks at the limit of all before that of the tenant', async ({ storage }) => {
      await createAs(storage, 'a', 'pending');
      await createAs(storage, 'b', 'pending', { tenantId: 'two' });
      const limits = { maxActiveTasks: 2, maxActiveTasksPerTenant: 1 };
      const error = await assertRejects('LIMIT_REACHED', () =>
        storage.createTask(minimalTask('c'), limits),
      );
      assert.ok(error instanceof TaskLimitReachedError);
      assert.equal(error.limit, 2);
      await assertRejects('LIMIT_REACHED', () =>
        storage.createTask(minimalTask('c'), { ...limits, maxActiveTasks: 3 }),
      );
      const other = storage.forTenant('three');
      assert.equal(
        await other.createTask(minimalTask('c'), { ...limits, maxActiveTasks: 3 }),
        true,
      );
    });

    test('admits as many of a crowd of each tenant as there is room for', async ({ storage }) => {
      const crowd = times(60, (index) =>
        storage
          .forTenant(`tenant ${index % 3}`)
          .createTask(minimalTask(`${index}`), { maxActiveTasksPerTenant: 4 }),
      );
      assertSame(await tally(crowd), { true: 12, LIMIT_REACHED: 48 });
      for (const tenantId of ['tenant 0', 'tenant 1', 'tenant 2']) {
        assert.equal(await storage.forTenant(tenantId).countActiveTasks(), 4);
      }
    });

    test('keeps to both limits in a crowd', async ({ storage }) => {
      const crowd = times(40, (index) =>
        storage
          .forTenant(index % 10 === 0 ? 'few' : 'many')
          .createTask(minimalTask(`${index}`), { maxActiveTasks: 6, maxActiveTasksPerTenant: 4 }),
      );
      await tally(crowd);
      const few = await storage.forTenant('few').countActiveTasks();
      const many = await storage.forTenant('many').countActiveTasks();
      assert.ok(few <= 4 && many <= 4, `The tenants have ${few} and ${many} tasks; 4 are allowed`);
      assert.equal(few + many, 6);
    });

    test('admits queued and held tasks under the same limits', async ({ storage }) => {
      const limits = { maxActiveTasks: 3 };
      const creators = times(30, (index) =>
        storage.createTask(minimalTask(`${index}`), {
          ...limits,
          ...(index % 2 === 0 ? { queue: true } : heldBy('holder')),
        }),
      );
      assertSame(await tally(creators), { true: 3, LIMIT_REACHED: 27 });
      for (const task of (await storage.listTasks()).tasks) {
        const isQueued = Number(task.taskId) % 2 === 0;
        assertSame(
          [task.queuedAt !== null, task.leaseOwner, task.attempt],
          isQueued ? [true, null, 0] : [false, 'holder', 1],
        );
      }
    });

    test('admits exactly as many of a crowd as there is room for', async ({ storage }) => {
      const crowd = (round: string): (() => Promise<boolean>)[] =>
        times(50, (index) =>
          storage.createTask(minimalTask(`${round} ${index}`), { maxActiveTasks: 5 }),
        );
      assertSame(await tally(crowd('first')), { true: 5, LIMIT_REACHED: 45 });
      assert.equal(await storage.countActiveTasks(), 5);

      const [ended = ''] = await storedIds(storage);
      await storage.updateTask(ended, { status: 'error' });
      assertSame(await tally(crowd('second')), { true: 1, LIMIT_REACHED: 49 });
      assert.equal((await storedIds(storage)).length, 6);
    });

    test('keeps to the limit while others leave', async ({ storage }) => {
      for (const taskId of ['a', 'b', 'c', 'd']) {
        await createAs(storage, taskId, 'running');
      }
      const counts: number[] = [];
      const leave = async (taskId: string): Promise<void> => {
        await storage.updateTask(taskId, { status: 'finished' });
      };
      const arrive = async (index: number): Promise<void> => {
        await tally([() => storage.createTask(minimalTask(`new ${index}`), { maxActiveTasks: 4 })]);
        counts.push(await storage.countActiveTasks());
      };
      const arrivals = times(30, arrive).map((start) => start());
      await Promise.all([...arrivals, ...['a', 'b', 'c', 'd'].map(leave)]);
      assert.ok(Math.max(...counts) <= 4, `${Math.max(...counts)} tasks were active at once`);
    });
  },
};
