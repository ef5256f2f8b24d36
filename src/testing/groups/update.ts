import assert from 'node:assert/strict';
import type { TaskOperations } from '../../task/task-storage.js';
import type { TaskUpdates } from '../../task/task.js';
import { assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, existing, fullTask, minimalTask } from '../samples.js';

/** One change for each field, the status aside. */
const CHANGES = {
  query: 'Close the shop',
  maxSteps: 7,
  finalState: 'interrupted',
  timestampDir: 'runs/other',
  executionStatistics: { steps: 4 },
  sandboxInfo: { id: 'other' },
  requestData: {},
  conversationHistory: { executor: ['done'] },
  result: 'The shop is closed',
  error: 'The door was stuck',
} satisfies TaskUpdates;

const NULLS = {
  finalState: null,
  timestampDir: null,
  executionStatistics: null,
  sandboxInfo: null,
  requestData: null,
  conversationHistory: null,
  result: null,
  error: null,
} satisfies TaskUpdates;

/** The fields of a task without those that every update changes. */
async function fieldsOf(storage: TaskOperations, taskId: string): Promise<object> {
  const { version: _version, updatedAt: _updatedAt, ...fields } = await existing(storage, taskId);
  return fields;
}

export const updateGroup: ConformanceGroup = {
  title: 'updateTask',
  define(test) {
    test('changes the field that it is given and keeps all others', async ({ storage }) => {
      await storage.createTask(fullTask('task'));
      for (const [field, value] of Object.entries(CHANGES)) {
        const before = await fieldsOf(storage, 'task');
        assert.equal(await storage.updateTask('task', { [field]: value }), true);
        assertSame(await fieldsOf(storage, 'task'), { ...before, [field]: value });
      }
    });

    test('changes many fields at once', async ({ storage }) => {
      await storage.createTask(fullTask('task'));
      const before = await fieldsOf(storage, 'task');
      await storage.updateTask('task', CHANGES);
      assertSame(await fieldsOf(storage, 'task'), { ...before, ...CHANGES });
    });

    test('clears a field that is null and keeps one that is undefined', async ({ storage }) => {
      await storage.createTask(fullTask('task'));
      await storage.updateTask('task', CHANGES);
      const before = await fieldsOf(storage, 'task');
      const undefinedFields = Object.keys(CHANGES).map((field) => [field, undefined]);
      await storage.updateTask('task', Object.fromEntries(undefinedFields));
      assertSame(await fieldsOf(storage, 'task'), before);
      await storage.updateTask('task', NULLS);
      assertSame(await fieldsOf(storage, 'task'), { ...before, ...NULLS });
    });

    test('replaces JSON as a whole', async ({ storage }) => {
      await storage.createTask(minimalTask('task', { requestData: { a: 1, b: { c: 2, d: 3 } } }));
      await storage.updateTask('task', { requestData: { b: { c: 4 } } });
      assertSame((await existing(storage, 'task')).requestData, { b: { c: 4 } });
    });

    test('raises the version by one each time, with nothing to change too', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      await storage.updateTask('task', { query: 'Close the shop' });
      await storage.updateTask('task', { query: 'Close the shop' });
      await storage.updateTask('task', {});
      assert.equal((await existing(storage, 'task')).version, 4);
    });

    test('answers false for a task that does not exist, and creates none', async ({ storage }) => {
      const options = { events: [{ stage: 'starting', message: '' }] };
      assert.equal(await storage.updateTask('task', CHANGES, options), false);
      assert.equal(await storage.getTask('task'), null);
      assertSame(await storage.listEvents('task'), []);
    });

    test('changes no other task', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      await storage.createTask(minimalTask('other'));
      const before = await existing(storage, 'other');
      await storage.updateTask('task', { ...CHANGES, status: 'running' });
      assertSame(await existing(storage, 'other'), before);
    });

    test('lets statistics of an ended task arrive late', async ({ storage }) => {
      await createAs(storage, 'task', 'finished');
      const ended = await existing(storage, 'task');
      const late = { executionStatistics: { steps: 9 }, result: 'Done', finalState: 'completed' };
      assert.equal(await storage.updateTask('task', late), true);
      const { updatedAt, ...task } = await existing(storage, 'task');
      assertSame({ ...task, updatedAt: ended.updatedAt }, { ...ended, ...late, version: 3 });
      assert.ok(!Number.isNaN(updatedAt.getTime()), 'updatedAt must be a time');
    });

    test('loses none of many simultaneous updates', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const changes = Object.entries(CHANGES).map(([field, value]) => ({ [field]: value }));
      await Promise.all(changes.map((change) => storage.updateTask('task', change)));
      const { version, ...task } = await existing(storage, 'task');
      assertSame({ ...task, ...CHANGES }, task);
      assert.equal(version, 1 + changes.length);
    });
  },
};
