import assert from 'node:assert/strict';
import { TASK_STATUSES, type Task } from '../../task/task.js';
import { assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, existing, idsOf, listByPages } from '../samples.js';

const DAY_MS = 86_400_000;

function daysBetween(earlier: Date | null, later: Date | null): number {
  assert.ok(earlier !== null && later !== null, 'Both times must be set');
  return Math.round((later.getTime() - earlier.getTime()) / DAY_MS);
}

export const timesGroup: ConformanceGroup = {
  title: 'times',
  requires: 'ages',
  define(test) {
    test('order the list, the newest first', async ({ storage, passDays }) => {
      const order = ['c', 'a', 'b', 'd'];
      for (const taskId of order) {
        await createAs(storage, taskId, 'pending');
        await passDays(1);
      }
      await storage.updateTask('a', { status: 'running' });
      for (const pageSize of [1, 2, 10]) {
        assertSame(idsOf(await listByPages(storage, {}, pageSize)), order.toReversed());
      }
    });

    test('say when a task was created, started, ended and changed', async (setup) => {
      const { storage, passDays } = setup;
      await createAs(storage, 'task', 'pending');
      await passDays(1);
      await storage.updateTask('task', { status: 'running' });
      await passDays(2);
      await storage.updateTask('task', { status: 'finished' });
      await passDays(4);
      await storage.updateTask('task', { result: 'late' });
      const { createdAt, startedAt, finishedAt, updatedAt } = await existing(storage, 'task');
      assert.equal(daysBetween(createdAt, startedAt), 1);
      assert.equal(daysBetween(startedAt, finishedAt), 2);
      assert.equal(daysBetween(finishedAt, updatedAt), 4);
    });

    test('stay as they are, updatedAt aside, when a task changes', async (setup) => {
      const { storage, passDays } = setup;
      const timesOf = ({ createdAt, startedAt, finishedAt }: Task): (Date | null)[] => [
        createdAt,
        startedAt,
        finishedAt,
      ];
      for (const status of TASK_STATUSES) {
        await createAs(storage, status, status);
        await passDays(1);
        const before = await existing(storage, status);
        await storage.updateTask(status, { result: 'late', error: null });
        const after = await existing(storage, status);
        assertSame(timesOf(after), timesOf(before));
        assert.equal(daysBetween(before.updatedAt, after.updatedAt), 1);
      }
    });
  },
};
