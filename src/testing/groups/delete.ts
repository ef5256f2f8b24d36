import assert from 'node:assert/strict';
import { TASK_STATUSES } from '../../task/task.js';
import { assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, event, existing, fullTask, minimalTask, storedIds } from '../samples.js';

export const deleteGroup: ConformanceGroup = {
  title: 'deleteTask',
  define(test) {
    test('deletes a task of every status, and answers true once', async ({ storage }) => {
      for (const status of TASK_STATUSES) {
        await createAs(storage, status, status);
        assert.equal(await storage.deleteTask(status), true);
        assert.equal(await storage.getTask(status), null);
        assert.equal(await storage.deleteTask(status), false);
      }
      assertSame(await storedIds(storage), []);
      assert.equal(await storage.countActiveTasks(), 0);
    });

    test('answers false for a task that does not exist', async ({ storage }) => {
      assert.equal(await storage.deleteTask('task'), false);
    });

    test('deletes nothing else', async ({ storage }) => {
      for (const taskId of ['a', 'b', 'c']) {
        await storage.createTask(minimalTask(taskId), { events: [event(taskId)] });
      }
      await storage.deleteTask('b');
      assertSame(await storedIds(storage), ['a', 'c']);
      assert.equal((await storage.listEvents('c')).length, 1);
    });

    test('takes the events along, so that the id starts anew', async ({ storage }) => {
      await storage.createTask(fullTask('task'), { events: [event('old'), event('older')] });
      await storage.updateTask('task', { query: 'changed' });
      await storage.deleteTask('task');
      assertSame(await storage.listEvents('task'), []);

      assert.equal(await storage.createTask(minimalTask('task')), true);
      const { version, lastEventSequence, requestData } = await existing(storage, 'task');
      assertSame([version, lastEventSequence, requestData], [1, 0, null]);
      assertSame(await storage.listEvents('task'), []);
      assert.equal(await storage.appendEvents('task', [event('new')]), 1);
    });

    test('lets one of many simultaneous deleters win', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const deleters = times(10, () => storage.deleteTask('task'));
      assertSame(await tally(deleters), { true: 1, false: 9 });
    });
  },
};
