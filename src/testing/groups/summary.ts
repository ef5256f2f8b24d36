import assert from 'node:assert/strict';
import { TASK_PAYLOAD_FIELDS } from '../../task/task.js';
import { assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { existing, fullTask, listByPages, minimalTask } from '../samples.js';

export const summaryGroup: ConformanceGroup = {
  title: 'the summary view',
  define(test) {
    test('has every field but the JSON fields, not even as undefined', async ({ storage }) => {
      await storage.createTask(fullTask('task'), { events: [{ stage: 'starting', message: '' }] });
      await storage.updateTask('task', { status: 'error', error: 'stuck', finalState: 'failed' });
      const expected: Record<string, unknown> = { ...(await existing(storage, 'task')) };
      for (const field of TASK_PAYLOAD_FIELDS) {
        assert.ok(Object.hasOwn(expected, field), `A full task must have ${field}`);
        Reflect.deleteProperty(expected, field);
      }
      const { tasks } = await storage.listTasks({ view: 'summary' });
      assertSame(tasks, [expected]);
      assertSame((await storage.forTenant('tenant').listTasks({ view: 'summary' })).tasks, tasks);
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
