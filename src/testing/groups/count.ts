import assert from 'node:assert/strict';
import { TASK_STATUSES } from '../../task/task.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs } from '../samples.js';

export const countGroup: ConformanceGroup = {
  title: 'countActiveTasks',
  define(test) {
    test('answers 0 when there are no tasks', async ({ storage }) => {
      assert.equal(await storage.countActiveTasks(), 0);
    });

    test('counts pending and running tasks and no ended one', async ({ storage }) => {
      for (const [index, status] of TASK_STATUSES.entries()) {
        await createAs(storage, `${index}`, status);
        await createAs(storage, `${index} more`, status);
      }
      assert.equal(await storage.countActiveTasks(), 4);
    });

    test('follows each task through its life', async ({ storage }) => {
      await createAs(storage, 'a', 'pending');
      await createAs(storage, 'b', 'running');
      await createAs(storage, 'c', 'pending');
      await storage.updateTask('a', { status: 'running' });
      assert.equal(await storage.countActiveTasks(), 3);
      await storage.updateTask('a', { status: 'finished' });
      assert.equal(await storage.countActiveTasks(), 2);
      await storage.updateTask('c', { status: 'cancelled' });
      assert.equal(await storage.countActiveTasks(), 1);
      await storage.cleanupOldTasks(0);
      assert.equal(await storage.countActiveTasks(), 1);
      await storage.deleteTask('b');
      assert.equal(await storage.countActiveTasks(), 0);
    });
  },
};
