import assert from 'node:assert/strict';
import { TaskLimitReachedError } from '../../task/errors.js';
import { assertRejects, assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
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
