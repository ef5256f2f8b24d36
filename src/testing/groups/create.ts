import assert from 'node:assert/strict';
import type { ConformanceGroup } from '../conformance-group.js';
import { assertSame, tally, times } from '../assertions.js';
import { createAs, existing, fullTask, minimalTask, storedIds } from '../samples.js';

export const createGroup: ConformanceGroup = {
  title: 'createTask and getTask',
  define(test) {
    test('stores a minimal task with the documented defaults', async ({ storage }) => {
      assert.equal(await storage.createTask(minimalTask('task')), true);
      const { createdAt, updatedAt, ...task } = await existing(storage, 'task');
      assertSame(task, {
        taskId: 'task',
        tenantId: 'default',
        status: 'pending',
        query: 'Open the shop',
        maxSteps: 10,
        finalState: null,
        timestampDir: null,
        executionStatistics: null,
        sandboxInfo: null,
        requestData: null,
        conversationHistory: null,
        result: null,
        error: null,
        sealedRequest: null,
        leaseOwner: null,
        leaseExpiresAt: null,
        attempt: 0,
        maxAttempts: 1,
        queuedAt: null,
        version: 1,
        lastEventSequence: 0,
        startedAt: null,
        finishedAt: null,
      });
      assert.ok(!Number.isNaN(createdAt.getTime()), 'createdAt must be a time');
      assertSame(updatedAt, createdAt);
    });

    test('stores every field of a full task', async ({ storage }) => {
      await storage.createTask(fullTask('task'));
      const { createdAt, updatedAt, startedAt, ...task } = await existing(storage, 'task');
      assertSame(task, {
        ...fullTask('task'),
        finalState: null,
        result: null,
        error: null,
        leaseOwner: null,
        leaseExpiresAt: null,
        attempt: 0,
        queuedAt: null,
        version: 1,
        lastEventSequence: 0,
        finishedAt: null,
      });
      assertSame([updatedAt, startedAt], [createdAt, createdAt]);
    });

    test('takes a field that is undefined for one that is left out', async ({ storage }) => {
      const fields = { status: undefined, tenantId: undefined, requestData: undefined };
      await storage.createTask(minimalTask('task', fields));
      const { status, tenantId, requestData } = await existing(storage, 'task');
      assertSame([status, tenantId, requestData], ['pending', 'default', null]);
    });

    test('answers false for an id that is taken, and overwrites nothing', async ({ storage }) => {
      await storage.createTask(fullTask('task'));
      const before = await existing(storage, 'task');
      assert.equal(await storage.createTask(minimalTask('task', { query: 'Other' })), false);
      assertSame(await existing(storage, 'task'), before);
    });

    test('answers false for the id of an ended task', async ({ storage }) => {
      await createAs(storage, 'task', 'cancelled');
      const before = await existing(storage, 'task');
      assert.equal(await storage.createTask(minimalTask('task')), false);
      assertSame(await existing(storage, 'task'), before);
    });

    test('lets one of many simultaneous creators of an id win', async ({ storage }) => {
      const winners: number[] = [];
      const creators = times(20, async (index) => {
        const created = await storage.createTask(minimalTask('task', { maxSteps: index + 1 }));
        winners.push(...(created ? [index + 1] : []));
        return created;
      });
      assertSame(await tally(creators), { true: 1, false: 19 });
      assertSame([(await existing(storage, 'task')).maxSteps], winners);
    });

    test('keeps ids apart that only look alike', async ({ storage }) => {
      const ids = ['task', 'Task', 'task ', ' task', 'ta\u0301sk', 't\u00e1sk', 'task\n', 'ｔask'];
      for (const taskId of ids) {
        assert.equal(await storage.createTask(minimalTask(taskId, { query: taskId })), true);
      }
      for (const taskId of ids) {
        assert.equal((await existing(storage, taskId)).query, taskId);
      }
      assertSame(await storedIds(storage), ids.toSorted());
    });

    test('answers null for a task that does not exist', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      assert.equal(await storage.getTask('other'), null);
    });

    test('changes nothing by reading', async ({ storage }) => {
      await storage.createTask(fullTask('task'));
      const first = await existing(storage, 'task');
      assertSame(await existing(storage, 'task'), first);
    });
  },
};
