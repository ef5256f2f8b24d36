import assert from 'node:assert/strict';
import { IllegalTransitionError } from '../../task/errors.js';
import { TERMINAL_STATUSES } from '../../task/task-lifecycle.js';
import { TASK_STATUSES, type TaskStatus } from '../../task/task.js';
import { assertRejects, assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, event, existing, minimalTask } from '../samples.js';

/** Written out, so that a mistake in the domain's own table is seen too. */
const LEGAL: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
  pending: ['running', 'error', 'cancelled'],
  running: ['finished', 'error', 'cancelled'],
  finished: [],
  error: [],
  cancelled: [],
};

export const lifecycleGroup: ConformanceGroup = {
  title: 'the lifecycle',
  define(test) {
    for (const from of TASK_STATUSES) {
      for (const events of [undefined, [event('last')]]) {
        const how = events === undefined ? 'alone' : 'with an event';
        const followers = LEGAL[from].join(', ') || 'nowhere';
        test(`leads from ${from} to ${followers} only, ${how}`, async (setup) => {
          const { storage } = setup;
          for (const to of TASK_STATUSES) {
            await createAs(storage, to, from);
            const before = await existing(storage, to);
            const update = () =>
              storage.updateTask(to, { status: to, query: 'changed' }, { events });
            if (LEGAL[from].includes(to)) {
              assert.equal(await update(), true);
              assert.equal((await existing(storage, to)).status, to);
              assert.equal((await storage.listEvents(to)).at(-1)?.status, events && to);
            } else {
              const error = await assertRejects('ILLEGAL_TRANSITION', update);
              assert.ok(error instanceof IllegalTransitionError);
              assertSame([error.taskId, error.from, error.to], [to, from, to]);
              assertSame(await existing(storage, to), before);
              assertSame(await storage.listEvents(to), []);
            }
          }
        });
      }
    }

    for (const end of TERMINAL_STATUSES) {
      test(`sets finishedAt when a task becomes ${end}`, async ({ storage }) => {
        await createAs(storage, 'task', 'running');
        const running = await existing(storage, 'task');
        assert.equal(running.finishedAt, null);

        await storage.updateTask('task', { status: end });
        const ended = await existing(storage, 'task');
        assertSame(ended.finishedAt, ended.updatedAt);
        assertSame(ended.startedAt, running.startedAt);
      });
    }

    test('sets startedAt when the status becomes running, and only then', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      await storage.updateTask('task', { result: 'early' });
      assert.equal((await existing(storage, 'task')).startedAt, null);

      await storage.updateTask('task', { status: 'running' });
      const { startedAt, updatedAt, finishedAt } = await existing(storage, 'task');
      assertSame([startedAt, finishedAt], [updatedAt, null]);

      await storage.updateTask('task', { query: 'Close the shop' });
      assertSame((await existing(storage, 'task')).startedAt, startedAt);
    });

    test('leaves startedAt empty when a task ends before it runs', async ({ storage }) => {
      await createAs(storage, 'task', 'cancelled');
      const { startedAt, finishedAt } = await existing(storage, 'task');
      assert.equal(startedAt, null);
      assert.notEqual(finishedAt, null);
    });

    test('lets one of many simultaneous starters win', async ({ storage }) => {
      await createAs(storage, 'task', 'pending');
      const starters = times(20, (index) =>
        storage.updateTask('task', { status: 'running', result: `starter ${index}` }),
      );
      assertSame(await tally(starters), { true: 1, ILLEGAL_TRANSITION: 19 });
      assert.equal((await existing(storage, 'task')).version, 2);
    });

    test('lets one of many simultaneous ends win', async ({ storage }) => {
      await createAs(storage, 'task', 'running');
      const ends = TERMINAL_STATUSES.flatMap((status) =>
        times(5, () => storage.updateTask('task', { status }, { events: [event(status)] })),
      );
      assertSame(await tally(ends), { true: 1, ILLEGAL_TRANSITION: 14 });
      const { status, version } = await existing(storage, 'task');
      assert.equal(version, 2);
      assertSame(
        (await storage.listEvents('task')).map((stored) => [stored.stage, stored.status]),
        [[status, status]],
      );
    });
  },
};
