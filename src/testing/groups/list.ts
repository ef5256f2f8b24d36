import assert from 'node:assert/strict';
import type { TaskOperations } from '../../task/task-storage.js';
import { TASK_STATUSES } from '../../task/task.js';
import { assertSame, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, existing, idsOf, listByPages, minimalTask } from '../samples.js';

/** The ids that {@link createSome} uses; their own order is not the order of creation. */
const IDS = ['m', 'z', 'a', 'q', 'B', '5', 'y'];

async function createSome(storage: TaskOperations): Promise<void> {
  for (const taskId of IDS) {
    await storage.createTask(minimalTask(taskId));
  }
}

export const listGroup: ConformanceGroup = {
  title: 'listTasks',
  define(test) {
    test('answers an empty last page when there are no tasks', async ({ storage }) => {
      assertSame(await storage.listTasks(), { tasks: [], nextPageToken: null });
      assertSame(await storage.listTasks({ offset: 5 }), { tasks: [], nextPageToken: null });
    });

    test('lists every task as getTask answers it, the newest first', async ({ storage }) => {
      await createSome(storage);
      const { tasks, nextPageToken } = await storage.listTasks();
      assert.equal(nextPageToken, null);
      assertSame(idsOf(tasks).toSorted(), IDS.toSorted());
      for (const [index, task] of tasks.entries()) {
        assertSame(task, await existing(storage, task.taskId));
        const next = tasks[index + 1];
        assert.ok(next === undefined || task.createdAt >= next.createdAt, 'Not the newest first');
      }
    });

    test('answers the same order each time, whatever changes a task', async ({ storage }) => {
      await createSome(storage);
      const before = idsOf((await storage.listTasks()).tasks);
      await storage.updateTask('a', { query: 'changed', status: 'running' });
      await storage.updateTask('z', { status: 'cancelled' });
      await storage.appendEvents('q', [{ stage: 'step', message: '' }]);
      assertSame(idsOf((await storage.listTasks()).tasks), before);
    });

    test('lists only tasks of the status asked for', async ({ storage }) => {
      for (const status of TASK_STATUSES) {
        await createAs(storage, `${status} 1`, status);
        await createAs(storage, `${status} 2`, status);
      }
      for (const status of TASK_STATUSES) {
        const { tasks } = await storage.listTasks({ status });
        assertSame(idsOf(tasks).toSorted(), [`${status} 1`, `${status} 2`]);
        assertSame([...new Set(tasks.map((task) => task.status))], [status]);
      }
    });

    test('moves a task from the list of one status to that of the next', async ({ storage }) => {
      await createAs(storage, 'task', 'pending');
      await storage.updateTask('task', { status: 'running' });
      assertSame((await storage.listTasks({ status: 'pending' })).tasks, []);
      await storage.updateTask('task', { status: 'finished' });
      assertSame((await storage.listTasks({ status: 'running' })).tasks, []);
      assertSame(idsOf((await storage.listTasks({ status: 'finished' })).tasks), ['task']);
    });

    test('cuts the list by offset and limit', async ({ storage }) => {
      await createSome(storage);
      const all = idsOf((await storage.listTasks()).tasks);
      for (let offset = 0; offset <= IDS.length + 1; offset += 1) {
        for (const limit of [1, 3, IDS.length]) {
          const { tasks, nextPageToken } = await storage.listTasks({ offset, limit });
          assertSame(idsOf(tasks), all.slice(offset, offset + limit));
          const isLast = offset + limit >= all.length;
          assert.equal(nextPageToken === null, isLast, `offset ${offset}, limit ${limit}`);
        }
      }
    });

    test('answers the whole list by pages of every size', async ({ storage }) => {
      await createSome(storage);
      const { tasks } = await storage.listTasks();
      for (let pageSize = 1; pageSize <= IDS.length + 1; pageSize += 1) {
        assertSame(await listByPages(storage, {}, pageSize), tasks);
      }
    });

    test('goes on by page token after a page that was cut by offset', async ({ storage }) => {
      await createSome(storage);
      const all = idsOf((await storage.listTasks()).tasks);
      const first = await storage.listTasks({ offset: 2, limit: 2 });
      const second = await storage.listTasks({ pageToken: first.nextPageToken ?? '', limit: 3 });
      assertSame(idsOf([...first.tasks, ...second.tasks]), all.slice(2));
      assert.equal(second.nextPageToken, null);
    });

    test('answers 100 tasks unless told otherwise, and 1000 at the most', async ({ storage }) => {
      for (let created = 0; created < 1001; created += 91) {
        const batch = times(91, (index) =>
          storage.createTask(minimalTask(`task-${created + index}`)),
        );
        await Promise.all(batch.map((create) => create()));
      }
      const first = await storage.listTasks();
      assert.equal(first.tasks.length, 100);
      assert.notEqual(first.nextPageToken, null);
      const second = await storage.listTasks({ pageToken: first.nextPageToken ?? '' });
      assert.equal(new Set(idsOf([...first.tasks, ...second.tasks])).size, 200);

      const longest = await storage.listTasks({ limit: 1000 });
      assert.equal(longest.tasks.length, 1000);
      const rest = await storage.listTasks({ pageToken: longest.nextPageToken ?? '' });
      assert.equal(new Set(idsOf([...longest.tasks, ...rest.tasks])).size, 1001);
      assert.equal(rest.nextPageToken, null);
      const byOffset = await storage.listTasks({ offset: 990, limit: 1000 });
      assertSame(byOffset.tasks, [...longest.tasks.slice(990), ...rest.tasks]);
    });
  },
};
