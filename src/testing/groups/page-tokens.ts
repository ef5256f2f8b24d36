import assert from 'node:assert/strict';
import type { TaskOperations } from '../../task/task-storage.js';
import { assertInvalid, assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, idsOf, minimalTask } from '../samples.js';

async function createPending(storage: TaskOperations, ...taskIds: string[]): Promise<void> {
  for (const taskId of taskIds) {
    await storage.createTask(minimalTask(taskId));
  }
}

/** A first page of two of the tasks with its token, and the ids of all. */
async function firstPage(
  storage: TaskOperations,
): Promise<{ all: string[]; cutAt: string; pageToken: string }> {
  const all = idsOf((await storage.listTasks()).tasks);
  const { nextPageToken } = await storage.listTasks({ limit: 2 });
  assert.ok(nextPageToken !== null, 'There must be a second page');
  return { all, cutAt: all[1] ?? '', pageToken: nextPageToken };
}

export const pageTokensGroup: ConformanceGroup = {
  title: 'page tokens',
  define(test) {
    test('answer the same page each time', async ({ storage }) => {
      await createPending(storage, 'a', 'b', 'c', 'd');
      const { all, pageToken } = await firstPage(storage);
      for (const limit of [2, 1, 2]) {
        const { tasks } = await storage.listTasks({ pageToken, limit });
        assertSame(idsOf(tasks), all.slice(2, 2 + limit));
      }
    });

    test('survive an update of the task that they were cut at', async ({ storage }) => {
      await createPending(storage, 'a', 'b', 'c', 'd');
      const { all, cutAt, pageToken } = await firstPage(storage);
      await storage.updateTask(cutAt, { status: 'running', query: 'changed' });
      assertSame(idsOf((await storage.listTasks({ pageToken })).tasks), all.slice(2));
    });

    test('survive the deletion of the task that they were cut at', async ({ storage }) => {
      await createPending(storage, 'a', 'b', 'c', 'd');
      const { all, cutAt, pageToken } = await firstPage(storage);
      await storage.deleteTask(cutAt);
      assertSame(idsOf((await storage.listTasks({ pageToken })).tasks), all.slice(2));
      await storage.deleteTask(all[2] ?? '');
      assertSame(idsOf((await storage.listTasks({ pageToken })).tasks), all.slice(3));
    });

    test('survive that their task leaves the list of its status', async ({ storage }) => {
      await createPending(storage, 'a', 'b', 'c');
      const first = await storage.listTasks({ status: 'pending', limit: 1 });
      const [cutAt = ''] = idsOf(first.tasks);
      await storage.updateTask(cutAt, { status: 'cancelled' });
      const pageToken = first.nextPageToken ?? '';
      const second = await storage.listTasks({ status: 'pending', pageToken });
      assertSame(idsOf([...first.tasks, ...second.tasks]).toSorted(), ['a', 'b', 'c']);
    });

    test('skip and repeat nothing while tasks are created', async ({ storage }) => {
      const before = Array.from({ length: 12 }, (_, index) => `before-${index}`);
      await createPending(storage, ...before);
      const expected = idsOf((await storage.listTasks()).tasks);
      const seen: string[] = [];
      let pageToken: string | undefined;
      for (let page = 0; page === 0 || pageToken !== undefined; page += 1) {
        const [answer] = await Promise.all([
          storage.listTasks({ limit: 3, pageToken }),
          createPending(storage, `during-${page}`, `a-${page}`, `z-${page}`),
        ]);
        seen.push(...idsOf(answer.tasks));
        assert.ok(page < 20, 'The pages never end, because new tasks push old ones before them');
        pageToken = answer.nextPageToken ?? undefined;
      }
      assertSame(
        seen.filter((taskId) => before.includes(taskId)),
        expected,
      );
      assert.equal(new Set(seen).size, seen.length, 'A task was listed twice');
    });

    test('are refused by the list of another status', async ({ storage }) => {
      for (const taskId of ['a', 'b', 'c']) {
        await createAs(storage, taskId, 'running');
      }
      const { nextPageToken } = await storage.listTasks({ limit: 1, status: 'running' });
      const pageToken = nextPageToken ?? '';
      await assertInvalid('pageToken', () => storage.listTasks({ pageToken }));
      await assertInvalid('pageToken', () => storage.listTasks({ pageToken, status: 'pending' }));
      const unfiltered = (await storage.listTasks({ limit: 1 })).nextPageToken ?? '';
      await assertInvalid('pageToken', () =>
        storage.listTasks({ pageToken: unfiltered, status: 'running' }),
      );
    });

    test('are refused by the list of another tenant', async ({ storage }) => {
      const one = storage.forTenant('one');
      const two = storage.forTenant('two');
      await createPending(one, 'a', 'b');
      await createPending(two, 'c', 'd');
      const pageToken = (await one.listTasks({ limit: 1 })).nextPageToken ?? '';
      assert.equal((await one.listTasks({ pageToken })).tasks.length, 1);
      await assertInvalid('pageToken', () => two.listTasks({ pageToken }));
      await assertInvalid('pageToken', () => storage.listTasks({ pageToken }));
      const unscoped = (await storage.listTasks({ limit: 1 })).nextPageToken ?? '';
      await assertInvalid('pageToken', () => one.listTasks({ pageToken: unscoped }));
    });

    test('are refused when a single character differs', async ({ storage }) => {
      await createPending(storage, 'a', 'b', 'c');
      const { pageToken } = await firstPage(storage);
      for (let index = 0; index < pageToken.length; index += 1) {
        for (const other of 'ABQg_-') {
          const forged = pageToken.slice(0, index) + other + pageToken.slice(index + 1);
          if (forged !== pageToken) {
            await assertInvalid('pageToken', () => storage.listTasks({ pageToken: forged }));
          }
        }
      }
      for (const forged of [pageToken.slice(0, -1), `${pageToken}A`, pageToken.repeat(2)]) {
        await assertInvalid('pageToken', () => storage.listTasks({ pageToken: forged }));
      }
    });

    test('are refused when they are made up', async ({ storage }) => {
      await createPending(storage, 'a', 'b', 'c');
      for (const pageToken of ['', '0', 'a', 'null', '\0', '%', "'; --", '🦊', 'A'.repeat(9999)]) {
        await assertInvalid('pageToken', () => storage.listTasks({ pageToken }));
      }
    });

    test('are refused together with an offset', async ({ storage }) => {
      await createPending(storage, 'a', 'b', 'c');
      const { pageToken } = await firstPage(storage);
      await assertInvalid('offset', () => storage.listTasks({ pageToken, offset: 1 }));
    });
  },
};
