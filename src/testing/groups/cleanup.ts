import assert from 'node:assert/strict';
import { TERMINAL_STATUSES, type TerminalStatus } from '../../task/task-lifecycle.js';
import { TASK_STATUSES } from '../../task/task.js';
import type { TaskOperations } from '../../task/task-storage.js';
import { assertSame, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, event, storedIds } from '../samples.js';

/** One task of each status, with its status as its id. */
async function createOneOfEach(storage: TaskOperations): Promise<void> {
  for (const status of TASK_STATUSES) {
    await createAs(storage, status, status);
  }
}

export const cleanupGroup: ConformanceGroup = {
  title: 'cleanupOldTasks',
  define(test) {
    test('deletes every ended task and no active one for 0 days', async ({ storage }) => {
      await createOneOfEach(storage);
      assert.equal(await storage.cleanupOldTasks(0), 3);
      assertSame(await storedIds(storage), ['pending', 'running']);
      assert.equal(await storage.cleanupOldTasks(0), 0);
    });

    test('deletes nothing that ended today for 1 day and more', async ({ storage }) => {
      await createOneOfEach(storage);
      assert.equal(await storage.cleanupOldTasks(1), 0);
      assert.equal(await storage.cleanupOldTasks(36_500), 0);
      assert.equal((await storedIds(storage)).length, TASK_STATUSES.length);
    });

    test('deletes only tasks of the statuses asked for', async ({ storage }) => {
      await createOneOfEach(storage);
      const statuses: TerminalStatus[] = ['error', 'cancelled'];
      assert.equal(await storage.cleanupOldTasks(0, { statuses: [] }), 0);
      assert.equal(await storage.cleanupOldTasks(0, { statuses }), 2);
      assertSame(await storedIds(storage), ['finished', 'pending', 'running']);
    });

    test('deletes no more tasks than the limit', async ({ storage }) => {
      for (const taskId of ['a', 'b', 'c', 'd', 'e']) {
        await createAs(storage, taskId, 'finished');
      }
      assert.equal(await storage.cleanupOldTasks(0, { limit: 2 }), 2);
      assert.equal((await storedIds(storage)).length, 3);
      assert.equal(await storage.cleanupOldTasks(0, { limit: 2_147_483_647 }), 3);
    });

    test('only counts in a dry run', async ({ storage }) => {
      await createOneOfEach(storage);
      const dryRun = true;
      assert.equal(await storage.cleanupOldTasks(0, { dryRun }), 3);
      assert.equal(await storage.cleanupOldTasks(0, { dryRun, limit: 2 }), 2);
      assert.equal(await storage.cleanupOldTasks(0, { dryRun, statuses: ['error'] }), 1);
      assert.equal(await storage.cleanupOldTasks(1, { dryRun }), 0);
      assert.equal((await storedIds(storage)).length, TASK_STATUSES.length);
    });

    test('takes the events along', async ({ storage }) => {
      await createAs(storage, 'task', 'running');
      await storage.updateTask('task', { status: 'finished' }, { events: [event('finished')] });
      await storage.cleanupOldTasks(0);
      await createAs(storage, 'task', 'running');
      assertSame(await storage.listEvents('task'), []);
    });

    test('counts each task once when many clean up at once', async ({ storage }) => {
      const created = times(40, (index) => createAs(storage, `task-${index}`, 'cancelled'));
      await Promise.all(created.map((create) => create()));
      const cleanups = times(4, () => storage.cleanupOldTasks(0));
      const counts = await Promise.all(cleanups.map((cleanUp) => cleanUp()));
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        40,
      );
      assertSame(await storedIds(storage), []);
    });
  },
};

export const cleanupByAgeGroup: ConformanceGroup = {
  title: 'cleanupOldTasks as time passes',
  requires: 'ages',
  define(test) {
    test('deletes what ended at least the given days ago', async ({ storage, passDays }) => {
      for (const status of TERMINAL_STATUSES) {
        await createAs(storage, `${status} 5 days ago`, status);
      }
      await createAs(storage, 'running for 5 days', 'running');
      await createAs(storage, 'pending for 5 days', 'pending');
      await passDays(2);
      await createAs(storage, 'finished 3 days ago', 'finished');
      await passDays(3);
      await createAs(storage, 'finished today', 'finished');

      assert.equal(await storage.cleanupOldTasks(6), 0);
      assert.equal(await storage.cleanupOldTasks(4, { dryRun: true }), 3);
      assert.equal(await storage.cleanupOldTasks(5), 3);
      assert.equal(await storage.cleanupOldTasks(3), 1);
      assertSame(await storedIds(storage), [
        'finished today',
        'pending for 5 days',
        'running for 5 days',
      ]);
    });

    test('counts the age from the end, not from the creation', async ({ storage, passDays }) => {
      await createAs(storage, 'task', 'running');
      await passDays(10);
      await storage.updateTask('task', { status: 'finished' });
      assert.equal(await storage.cleanupOldTasks(1), 0);
      await passDays(1);
      assert.equal(await storage.cleanupOldTasks(1), 1);
    });

    test('makes a task no younger when it changes late', async ({ storage, passDays }) => {
      await createAs(storage, 'task', 'finished');
      await passDays(2);
      await storage.updateTask('task', { executionStatistics: { steps: 3 } });
      assert.equal(await storage.cleanupOldTasks(2), 1);
    });

    test('deletes the first that ended first', async ({ storage, passDays }) => {
      for (const taskId of ['first', 'b', 'second', 'a', 'third']) {
        await createAs(storage, taskId, 'running');
      }
      for (const taskId of ['first', 'second', 'third']) {
        await storage.updateTask(taskId, { status: 'finished' });
        await passDays(1);
      }
      assert.equal(await storage.cleanupOldTasks(1, { limit: 1 }), 1);
      assertSame(await storedIds(storage), ['a', 'b', 'second', 'third']);
      assert.equal(await storage.cleanupOldTasks(0, { limit: 1 }), 1);
      assertSame(await storedIds(storage), ['a', 'b', 'third']);
    });
  },
};
