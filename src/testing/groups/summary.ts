import assert from 'node:assert/strict';
import type { Task } from '../../task/task.js';
import { assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { existing, fullTask, listByPages, minimalTask, summaryOf } from '../samples.js';

export const summaryGroup: ConformanceGroup = {
  title: 'the summary view',
  define(test) {
    test('has every field but the large ones, not even as undefined', async ({ storage }) => {
      await storage.createTask(fullTask('task'), { events: [{ stage: 'starting', message: '' }] });
      await storage.updateTask('task', { status: 'error', error: 'stuck', finalState: 'failed' });
      const expected = summaryOf(await existing(storage, 'task'));
      const { tasks } = await storage.listTasks({ view: 'summary' });
      assertSame(tasks, [expected]);
      assertSame((await storage.forTenant('tenant').listTasks({ view: 'summary' })).tasks, tasks);
    });

    test('of one task has every field but the large ones, not even as undefined', async ({
      storage,
    }) => {
      await storage.createTask(minimalTask('bare'));
      await storage.createTask(fullTask('task'), { events: [{ stage: 'starting', message: '' }] });
      const assertSummary = async ({ taskId, tenantId }: Task): Promise<void> => {
        for (const tasks of [storage, storage.forTenant(tenantId)]) {
          const expected = summaryOf(await existing(tasks, taskId));
          assertSame(await tasks.getTask(taskId, { view: 'summary' }), expected);
        }
      };
      for (const taskId of ['bare', 'task']) {
        await assertSummary(await existing(storage, taskId));
      }
      await storage.updateTask('task', { status: 'error', error: 'stuck', finalState: 'failed' });
      await assertSummary(await existing(storage, 'task'));
    });

    test('of one task is null for a task that does not exist', async ({ storage }) => {
      const view = 'summary';
      await storage.forTenant('one').createTask(minimalTask('task'));
      assert.equal(await storage.getTask('other', { view }), null);
      assert.equal(await storage.forTenant('two').getTask('task', { view }), null);
      assert.equal((await storage.forTenant('one').getTask('task', { view }))?.taskId, 'task');
      await storage.deleteTask('task');
      assert.equal(await storage.getTask('task', { view }), null);
    });

    test('has the order and the pages of the full view', async ({ storage }) => {
      for (const taskId of ['b', 'c', 'a', 'e', 'd']) {
        await storage.createTask(minimalTask(taskId));
      }
      const full = (await storage.listTasks()).tasks.map(({ taskId }) => taskId);
      const summaries = await listByPages(storage, { view: 'summary' }, 2);
      assertSame(
        summaries.map(({ taskId }) => taskId),
        full,
      );
    });
  },
};
