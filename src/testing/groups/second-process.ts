import assert from 'node:assert/strict';
import type { TaskStorage } from '../../task/task-storage.js';
import { assertRejects, assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup, ConformanceTest } from '../conformance-group.js';
import { createAs, event, existing, fullTask, idsOf, minimalTask } from '../samples.js';
import {
  assertLeaseLost,
  claimedIds,
  createBrieflyHeld,
  termOf,
  waitForLeasesToEnd,
  whileHeldBy,
} from '../lease-samples.js';
import { createHeldWork } from './exclusive.js';

/** Runs the test with a second storage on the same data. */
function withSecond(
  run: (first: TaskStorage, second: TaskStorage) => Promise<void>,
): (test: ConformanceTest) => Promise<void> {
  return async ({ storage, reopen }) => {
    const second = await reopen();
    try {
      await run(storage, second);
    } finally {
      await second.close();
    }
  };
}

export const secondProcessGroup: ConformanceGroup = {
  title: 'a restart and a second process',
  requires: 'durable',
  define(test) {
    test('everything survives a restart', async ({ storage, reopen }) => {
      await storage.createTask(fullTask('task'), { events: [event('a'), event('b')] });
      await storage.updateTask('task', { status: 'error', error: 'stuck' });
      await createAs(storage, 'active', 'pending');
      await storage.settings.putSetting('name', { a: [1] }, 0);
      const read = async (from: TaskStorage): Promise<unknown[]> => [
        await from.listTasks(),
        await from.listEvents('task'),
        await from.countActiveTasks(),
        await from.settings.getSetting('name'),
      ];
      const before = await read(storage);
      await storage.close();
      const restarted = await reopen();
      try {
        assertSame(await read(restarted), before);
        assert.equal(await restarted.createTask(minimalTask('task')), false);
      } finally {
        await restarted.close();
      }
    });

    test(
      'each sees at once what the other has done',
      withSecond(async (first, second) => {
        await first.createTask(minimalTask('task'), { events: [event('a')] });
        assertSame(await existing(second, 'task'), await existing(first, 'task'));
        await second.updateTask('task', { status: 'running', query: 'second' });
        assertSame(await existing(first, 'task'), await existing(second, 'task'));
        assert.equal(await first.appendEvents('task', [event('b')]), 2);
        assert.equal((await second.listEvents('task')).length, 2);
        assert.equal(await second.countActiveTasks(), 1);
        assert.equal(await second.deleteTask('task'), true);
        assert.equal(await first.getTask('task'), null);
      }),
    );

    test(
      'a page token of one goes on in the other',
      withSecond(async (first, second) => {
        for (const taskId of ['a', 'b', 'c']) {
          await first.createTask(minimalTask(taskId));
        }
        const page = await first.listTasks({ limit: 1 });
        const rest = await second.listTasks({ pageToken: page.nextPageToken ?? '' });
        assertSame([...page.tasks, ...rest.tasks], (await first.listTasks()).tasks);
      }),
    );

    test(
      'together they admit no more tasks than the limit',
      withSecond(async (first, second) => {
        const crowd = times(40, (index) =>
          (index % 2 === 0 ? first : second).createTask(minimalTask(`${index}`), {
            maxActiveTasks: 5,
          }),
        );
        assertSame(await tally(crowd), { true: 5, LIMIT_REACHED: 35 });
        assert.equal(await first.countActiveTasks(), 5);
      }),
    );

    test(
      'one of them starts a task, and one writes a version',
      withSecond(async (first, second) => {
        await createAs(first, 'task', 'pending');
        const both = [first, second, first, second, first, second];
        const starters = both.map(
          (storage) => () => storage.updateTask('task', { status: 'running' }),
        );
        assertSame(await tally(starters), { true: 1, ILLEGAL_TRANSITION: 5 });
        const writers = both.map(
          (storage) => () => storage.updateTask('task', {}, { expectedVersion: 2 }),
        );
        assertSame(await tally(writers), { true: 1, CONFLICT: 5 });
      }),
    );

    test(
      'events of both have one sequence without gaps',
      withSecond(async (first, second) => {
        await createAs(first, 'task', 'running');
        const writers = times(20, (index) =>
          (index % 2 === 0 ? first : second).appendEvents('task', [event('a'), event('b')]),
        );
        await Promise.all(writers.map((write) => write()));
        const events = await second.listEvents('task');
        assertSame(
          events.map(({ sequence }) => sequence),
          Array.from({ length: 40 }, (_, index) => index + 1),
        );
      }),
    );

    test(
      'settings are shared, and written by one at a time',
      withSecond(async (first, second) => {
        await first.settings.putSetting('name', { by: 'first' }, 0);
        assertSame((await second.settings.getSetting('name'))?.value, { by: 'first' });
        const writers = [first, second, first, second].map(
          (storage) => () => storage.settings.putSetting('name', {}, 1),
        );
        assertSame(await tally(writers), { 2: 1, CONFLICT: 3 });
      }),
    );

    test(
      'exclusive work of one keeps the other from it',
      withSecond(async (first, second) => {
        const { work, started, letGo } = createHeldWork();
        const running = first.runExclusively('name', work);
        await started;
        const refused = await second.runExclusively('name', () => assert.fail('Must not run'));
        assertSame(refused, { ran: false });
        assertSame(await second.runExclusively('other', async () => 1), { ran: true, value: 1 });
        letGo();
        await running;
        assertSame(await second.runExclusively('name', async () => 2), { ran: true, value: 2 });
      }),
    );

    test(
      'together they hold no more tasks than the limit, and each task once',
      withSecond(async (first, second) => {
        for (let index = 0; index < 20; index += 1) {
          const tenantId = `tenant ${index % 2}`;
          await first.createTask(minimalTask(`${index}`, { tenantId }), { queue: true });
        }
        const limits = { maxHeldTasks: 7, maxHeldTasksPerTenant: 4 };
        const claimers = times(12, (index) =>
          (index % 2 === 0 ? first : second).leases.claimQueued({
            ...termOf(`owner ${index}`),
            ...limits,
            limit: 2,
          }),
        );
        const claimed = (await Promise.all(claimers.map((claim) => claim()))).flat();
        assert.equal(new Set(claimedIds(claimed)).size, claimed.length);
        assert.equal(claimed.length, 7);
        const ofFirst = claimed.filter(({ task }) => task.tenantId === 'tenant 0').length;
        assert.ok(ofFirst === 3 || ofFirst === 4, `One tenant has ${ofFirst} of 7 tasks`);
      }),
    );

    test(
      'one takes over what the other lost, and fences it off',
      withSecond(async (first, second) => {
        await createBrieflyHeld(first, 'task', 'first', { status: 'running' });
        await waitForLeasesToEnd(second);
        const claimed = await second.leases.claimExpired({ ...termOf('second'), limit: 1 });
        assertSame(claimedIds(claimed), ['task']);
        const late = whileHeldBy('first');
        await assertLeaseLost('second', () => first.appendEvents('task', [event('late')], late));
        await assertLeaseLost('second', () => first.updateTask('task', { result: 'late' }, late));
        const held = whileHeldBy('second', 2);
        assert.equal(await second.updateTask('task', { status: 'finished' }, held), true);
      }),
    );

    test(
      'closing one leaves the other at work',
      withSecond(async (first, second) => {
        await first.close();
        assert.equal(await second.createTask(minimalTask('task')), true);
        assertSame(idsOf((await second.listTasks()).tasks), ['task']);
        await assertRejects('UNAVAILABLE', () => first.getTask('task'));
      }),
    );
  },
};
