import assert from 'node:assert/strict';
import { TaskConflictError } from '../../task/errors.js';
import type { TaskOperations } from '../../task/task-storage.js';
import { assertRejects, assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, event, existing, minimalTask } from '../samples.js';

/** Adds one to `maxSteps` as a careful caller does: read, write what was read, else start again. */
async function increment(storage: TaskOperations): Promise<void> {
  for (;;) {
    const { maxSteps, version } = await existing(storage, 'task');
    try {
      await storage.updateTask('task', { maxSteps: maxSteps + 1 }, { expectedVersion: version });
      return;
    } catch (error) {
      if (!(error instanceof TaskConflictError)) {
        throw error;
      }
    }
  }
}

export const concurrencyGroup: ConformanceGroup = {
  title: 'optimistic concurrency',
  define(test) {
    test('writes when the expected version is the stored one', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      assert.equal(await storage.updateTask('task', { maxSteps: 2 }, { expectedVersion: 1 }), true);
      assert.equal(await storage.updateTask('task', { maxSteps: 3 }, { expectedVersion: 2 }), true);
      const { maxSteps, version } = await existing(storage, 'task');
      assertSame([maxSteps, version], [3, 3]);
    });

    for (const expectedVersion of [0, 1, 3]) {
      test(`refuses version ${expectedVersion} of a task at version 2`, async ({ storage }) => {
        await storage.createTask(minimalTask('task'));
        await storage.updateTask('task', {});
        const before = await existing(storage, 'task');
        const error = await assertRejects('CONFLICT', () =>
          storage.updateTask('task', { maxSteps: 9 }, { expectedVersion, events: [event('a')] }),
        );
        assert.ok(error instanceof TaskConflictError);
        assertSame([error.expectedVersion, error.actualVersion], [expectedVersion, 2]);
        assertSame(await existing(storage, 'task'), before);
        assertSame(await storage.listEvents('task'), []);
      });
    }

    test('answers false, not CONFLICT, for a task that does not exist', async ({ storage }) => {
      assert.equal(await storage.updateTask('task', {}, { expectedVersion: 1 }), false);
    });

    test('says CONFLICT when the transition is illegal as well', async ({ storage }) => {
      await createAs(storage, 'task', 'finished');
      await assertRejects('CONFLICT', () =>
        storage.updateTask('task', { status: 'running' }, { expectedVersion: 1 }),
      );
      await assertRejects('ILLEGAL_TRANSITION', () =>
        storage.updateTask('task', { status: 'running' }, { expectedVersion: 2 }),
      );
    });

    test('lets one of many simultaneous writers of a version win', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const writers = times(20, (index) =>
        storage.updateTask('task', { maxSteps: index + 1 }, { expectedVersion: 1 }),
      );
      assertSame(await tally(writers), { true: 1, CONFLICT: 19 });
      assert.equal((await existing(storage, 'task')).version, 2);
    });

    test('loses no increment of many writers who retry', async ({ storage }) => {
      await storage.createTask(minimalTask('task', { maxSteps: 1 }));
      await Promise.all(times(8, () => increment(storage)).map((write) => write()));
      const { maxSteps, version } = await existing(storage, 'task');
      assertSame([maxSteps, version], [9, 9]);
    });
  },
};
