import assert from 'node:assert/strict';
import { assertInvalid, assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { call, NO_COUNTS, NotPlain } from '../hostile-samples.js';
import { createAs, event, existing, minimalTask, storedIds } from '../samples.js';

/* What callers without a type checker hand over. */

export const hostileArgumentsGroup: ConformanceGroup = {
  title: 'hostile arguments',
  define(test) {
    test('are refused for a new task, naming the field', async ({ storage }) => {
      const refused: readonly (readonly [string, unknown])[] = [
        ...[0, ...NO_COUNTS].map((value) => ['maxSteps', value] as const),
        ...[1, null, {}].map((value) => ['query', value] as const),
        ...[1, null, {}, ['task']].map((value) => ['taskId', value] as const),
        ...['finished', 'error', 'cancelled', 'Pending', '', 1, null].map(
          (value) => ['status', value] as const,
        ),
        ['tenantId', 1],
        ['timestampDir', 1],
        ['sealedRequest', 1],
        ...[0, 1001, null, ...NO_COUNTS].map((value) => ['maxAttempts', value] as const),
        ['leaseOwner', 'process'],
        ['attempt', 1],
        ...['leaseExpiresAt', 'queuedAt', 'version', 'createdAt', 'updatedAt'].map(
          (field) => [field, new Date(0)] as const,
        ),
        ...['startedAt', 'finishedAt'].map((field) => [field, new Date(0)] as const),
        ...['finalState', 'result', 'error', 'task_id', 'constructor', 'toString'].map(
          (field) => [field, 'text'] as const,
        ),
      ];
      for (const [field, value] of refused) {
        const task = { ...minimalTask('task'), [field]: value };
        await assertInvalid(field, call(storage, 'createTask', task));
      }
      const own = JSON.parse('{"taskId":"task","query":"","maxSteps":1,"__proto__":{"a":1}}');
      await assertInvalid('__proto__', call(storage, 'createTask', own));
      for (const field of ['taskId', 'query', 'maxSteps']) {
        const { [field]: _left, ...task } = Object.fromEntries(Object.entries(minimalTask('task')));
        await assertInvalid(field, call(storage, 'createTask', task));
      }
      for (const task of [null, undefined, 'task', 1, [], new NotPlain(), new Map()]) {
        await assertInvalid('task', call(storage, 'createTask', task));
      }
      assertSame(await storedIds(storage), []);
    });

    test('are refused for an update, naming the field', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const before = await existing(storage, 'task');
      const refused: readonly (readonly [string, unknown])[] = [
        ...[0, null, ...NO_COUNTS].map((value) => ['maxSteps', value] as const),
        ...['done', 'RUNNING', '', 1, null].map((value) => ['status', value] as const),
        ['query', null],
        ...['result', 'error', 'finalState', 'timestampDir', 'attempt', 'maxAttempts'].map(
          (field) => [field, 1] as const,
        ),
        ...['leaseOwner', 'sealedRequest'].map((field) => [field, null] as const),
        ...['leaseExpiresAt', 'queuedAt'].map((field) => [field, new Date(0)] as const),
        ...['taskId', 'tenantId', 'version', 'lastEventSequence', 'createdAt', 'updatedAt'].map(
          (field) => [field, before[field === 'taskId' ? 'taskId' : 'createdAt']] as const,
        ),
        ...['startedAt', 'finishedAt'].map((field) => [field, new Date(0)] as const),
        ...['max_steps', 'constructor', 'unknown'].map((field) => [field, 'text'] as const),
      ];
      for (const [field, value] of refused) {
        const updates = { timestampDir: 'changed', [field]: value };
        await assertInvalid(field, call(storage, 'updateTask', 'task', updates));
      }
      for (const updates of [null, undefined, 'text', [], new NotPlain()]) {
        await assertInvalid('updates', call(storage, 'updateTask', 'task', updates));
      }
      assertSame(await existing(storage, 'task'), before);
    });

    test('are refused before it is asked whether the task exists', async ({ storage }) => {
      await assertInvalid('maxSteps', call(storage, 'updateTask', 'task', { maxSteps: 0 }));
      await assertInvalid('events', call(storage, 'appendEvents', 'task', []));
      await assertInvalid('limit', call(storage, 'listEvents', 'task', { limit: 0 }));
    });

    test('are refused as options of createTask and updateTask', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const before = await existing(storage, 'task');
      for (const value of [null, ...NO_COUNTS]) {
        for (const limit of ['maxActiveTasks', 'maxActiveTasksPerTenant']) {
          const limited = { [limit]: value };
          await assertInvalid(limit, call(storage, 'createTask', minimalTask('new'), limited));
        }
        for (const option of ['expectedVersion', 'expectedSequence']) {
          const expecting = { [option]: value };
          await assertInvalid(option, call(storage, 'updateTask', 'task', {}, expecting));
        }
        const expecting = { expectedSequence: value };
        const append = call(storage, 'appendEvents', 'task', [event('a')], expecting);
        await assertInvalid('expectedSequence', append);
      }
      assertSame(await existing(storage, 'task'), before);
      assertSame(await storedIds(storage), ['task']);
    });

    test('are refused as events', async ({ storage }) => {
      await createAs(storage, 'task', 'running');
      const tooMany = Array.from({ length: 1001 }, () => event('a'));
      for (const [field, events] of [
        ['events', tooMany],
        ['events', 'text'],
        ['events', {}],
        ['events', null],
        ['events[0]', ['text']],
        ['events[0]', [null]],
        ['events[0]', Array(1)],
        ['events[0].stage', [{ message: 'a' }]],
        ['events[0].stage', [{ stage: 1, message: 'a' }]],
        ['events[1].message', [event('a'), { stage: 'a' }]],
        ['events[1].message', [event('a'), { stage: 'a', message: null }]],
      ] as const) {
        await assertInvalid(field, call(storage, 'appendEvents', 'task', events));
        await assertInvalid(field, call(storage, 'updateTask', 'task', {}, { events }));
        await assertInvalid(field, call(storage, 'createTask', minimalTask('new'), { events }));
      }
      await assertInvalid('events', call(storage, 'appendEvents', 'task', []));
      await assertInvalid('events', call(storage, 'appendEvents', 'task'));
      assertSame(await storage.listEvents('task'), []);
      assertSame(await storedIds(storage), ['task']);
    });

    test('are refused as options of getTask', async ({ storage }) => {
      await createAs(storage, 'task', 'running');
      for (const tasks of [storage, storage.forTenant('default')]) {
        for (const view of ['short', 'Summary', '', 1, true, ['summary'], {}]) {
          await assertInvalid('view', call(tasks, 'getTask', 'task', { view }));
          await assertInvalid('view', call(tasks, 'getTask', 'missing', { view }));
        }
        for (const options of [null, 'summary', 1, [], new NotPlain()]) {
          await assertInvalid('options', call(tasks, 'getTask', 'task', options));
        }
        assert.equal((await tasks.getTask('task', { view: undefined }))?.sealedRequest, null);
      }
    });

    test('are refused by the lists', async ({ storage }) => {
      await createAs(storage, 'task', 'running');
      for (const limit of [0, 1001, ...NO_COUNTS]) {
        await assertInvalid('limit', call(storage, 'listTasks', { limit }));
        await assertInvalid('limit', call(storage, 'listEvents', 'task', { limit }));
      }
      for (const value of NO_COUNTS) {
        await assertInvalid('offset', call(storage, 'listTasks', { offset: value }));
        const after = { afterSequence: value };
        await assertInvalid('afterSequence', call(storage, 'listEvents', 'task', after));
      }
      for (const status of ['done', 'RUNNING', '', 1, null, ['running']]) {
        await assertInvalid('status', call(storage, 'listTasks', { status }));
      }
      await assertInvalid('view', call(storage, 'listTasks', { view: 'short' }));
      await assertInvalid('pageToken', call(storage, 'listTasks', { pageToken: 1 }));
      assert.equal((await storage.listTasks({ offset: 2 ** 31 - 1 })).tasks.length, 0);
    });

    test('are refused as options that do not exist, which would silently not hold', async ({
      storage,
    }) => {
      await createAs(storage, 'task', 'finished');
      const wrong = { status: 'error' };
      await assertInvalid('status', call(storage, 'cleanupOldTasks', 0, wrong));
      await assertInvalid(
        'maxActive',
        call(storage, 'createTask', minimalTask('n'), { maxActive: 0 }),
      );
      await assertInvalid('version', call(storage, 'updateTask', 'task', {}, { version: 1 }));
      await assertInvalid('fields', call(storage, 'getTask', 'task', { fields: ['status'] }));
      await assertInvalid('pagesize', call(storage, 'listTasks', { pagesize: 1 }));
      await assertInvalid('after', call(storage, 'listEvents', 'task', { after: 1 }));
      for (const dryRun of ['no', 0, null]) {
        await assertInvalid('dryRun', call(storage, 'cleanupOldTasks', 0, { dryRun }));
      }
      assertSame(await storedIds(storage), ['task']);
    });

    test('are refused by cleanupOldTasks', async ({ storage }) => {
      await createAs(storage, 'task', 'finished');
      for (const days of [36_501, null, undefined, true, ...NO_COUNTS]) {
        await assertInvalid('olderThanDays', call(storage, 'cleanupOldTasks', days));
      }
      for (const limit of [0, null, ...NO_COUNTS]) {
        await assertInvalid('limit', call(storage, 'cleanupOldTasks', 0, { limit }));
      }
      for (const statuses of ['finished', {}, 1]) {
        await assertInvalid('statuses', call(storage, 'cleanupOldTasks', 0, { statuses }));
      }
      for (const status of ['running', 'pending', 'done', 1, null]) {
        const statuses = ['finished', status];
        await assertInvalid('statuses[1]', call(storage, 'cleanupOldTasks', 0, { statuses }));
      }
      assertSame(await storedIds(storage), ['task']);
    });
  },
};
