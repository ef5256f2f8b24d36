import assert from 'node:assert/strict';
import { InvalidTaskError } from '../../task/errors.js';
import { assertInvalid, assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, event, existing, fullTask, idsOf, minimalTask, storedIds } from '../samples.js';

export const tenantsGroup: ConformanceGroup = {
  title: 'tenants',
  define(test) {
    test('give their name to the tasks that they create', async ({ storage }) => {
      await storage.forTenant('one').createTask(minimalTask('a'));
      await storage.createTask(minimalTask('b', { tenantId: 'two' }));
      await storage.createTask(minimalTask('c'));
      const { tasks } = await storage.listTasks();
      assertSame(tasks.map(({ taskId, tenantId }) => `${taskId} ${tenantId}`).toSorted(), [
        'a one',
        'b two',
        'c default',
      ]);
      assertSame(await storedIds(storage.forTenant('two')), ['b']);
      assertSame(await storedIds(storage.forTenant('default')), ['c']);
    });

    test('create no task in the name of another', async ({ storage }) => {
      const one = storage.forTenant('one');
      await assertInvalid('tenantId', () => one.createTask(minimalTask('a', { tenantId: 'two' })));
      assert.equal(await one.createTask(minimalTask('a', { tenantId: 'one' })), true);
      assertSame(await storedIds(storage), ['a']);
    });

    test('can do all with their own tasks', async ({ storage }) => {
      const one = storage.forTenant('one');
      assert.equal(await one.createTask(minimalTask('a'), { events: [event('starting')] }), true);
      assert.equal(await one.updateTask('a', { query: 'changed' }, { expectedVersion: 1 }), true);
      assert.equal(await one.appendEvents('a', [event('step')]), 2);
      assert.equal((await one.listEvents('a')).length, 2);
      assert.equal(await one.countActiveTasks(), 1);
      assertSame(await existing(one, 'a'), await existing(storage, 'a'));
      await one.updateTask('a', { status: 'cancelled' });
      assert.equal(await one.cleanupOldTasks(0), 1);
      await one.createTask(minimalTask('b'));
      assert.equal(await one.deleteTask('b'), true);
      assertSame(await storedIds(storage), []);
    });

    test('find none of the tasks of another', async ({ storage }) => {
      await storage.forTenant('one').createTask(fullTaskOf('one'), { events: [event('a')] });
      const before = await existing(storage, 'task');
      for (const tenantId of ['two', 'default', 'One', 'on', 'one ', 'on_', '%', "' OR ''='"]) {
        const other = storage.forTenant(tenantId);
        assert.equal(await other.getTask('task'), null);
        assertSame(await other.listEvents('task'), []);
        assertSame(await other.listTasks(), { tasks: [], nextPageToken: null });
        assertSame(await other.listTasks({ status: 'running', view: 'summary' }), {
          tasks: [],
          nextPageToken: null,
        });
        assert.equal(await other.countActiveTasks(), 0);
      }
      assertSame(await existing(storage, 'task'), before);
    });

    test('change none of the tasks of another', async ({ storage }) => {
      await storage.forTenant('one').createTask(fullTaskOf('one'));
      const two = storage.forTenant('two');
      const before = await existing(storage, 'task');
      const events = [event('foreign')];
      assert.equal(await two.updateTask('task', { query: 'changed' }), false);
      assert.equal(await two.updateTask('task', { status: 'finished' }, { events }), false);
      assert.equal(await two.appendEvents('task', events), null);
      assert.equal(await two.deleteTask('task'), false);
      assertSame(await existing(storage, 'task'), before);
      assertSame(await storage.listEvents('task'), []);
    });

    test('learn nothing about the tasks of another from refusals', async ({ storage }) => {
      await createAs(storage.forTenant('one'), 'task', 'finished');
      const two = storage.forTenant('two');
      assert.equal(await two.updateTask('task', {}, { expectedVersion: 99 }), false);
      assert.equal(await two.updateTask('task', { status: 'running' }), false);
      assert.equal(await two.updateTask('task', {}, { events: [event('late')] }), false);
      assert.equal(await two.appendEvents('task', [event('late')]), null);
    });

    test('share the ids', async ({ storage }) => {
      await storage.forTenant('one').createTask(minimalTask('task', { query: 'first' }));
      assert.equal(await storage.forTenant('two').createTask(minimalTask('task')), false);
      assert.equal(await storage.createTask(minimalTask('task')), false);
      const { query, tenantId } = await existing(storage, 'task');
      assertSame([query, tenantId], ['first', 'one']);
    });

    test('clean up only their own tasks', async ({ storage }) => {
      for (const tenantId of ['one', 'two']) {
        for (const status of ['finished', 'error', 'cancelled', 'running'] as const) {
          await createAs(storage.forTenant(tenantId), `${tenantId} ${status}`, status);
        }
      }
      const one = storage.forTenant('one');
      assert.equal(await one.cleanupOldTasks(0, { dryRun: true }), 3);
      assert.equal(await one.cleanupOldTasks(0, { limit: 2 }), 2);
      assert.equal(await one.cleanupOldTasks(0), 1);
      assertSame(await storedIds(one), ['one running']);
      assert.equal((await storedIds(storage.forTenant('two'))).length, 4);
    });

    test('page through their own tasks among those of others', async ({ storage }) => {
      const tenantIds = ['one', 'two', 'three'];
      for (let index = 0; index < 15; index += 1) {
        const tenantId = tenantIds[index % 3] ?? '';
        const status = index % 2 === 0 ? 'pending' : 'running';
        await createAs(storage.forTenant(tenantId), `${index}`, status);
      }
      const all = (await storage.listTasks()).tasks;
      for (const tenantId of tenantIds) {
        const scoped = storage.forTenant(tenantId);
        const own = idsOf(all.filter((task) => task.tenantId === tenantId));
        const first = await scoped.listTasks({ limit: 2 });
        const rest = await scoped.listTasks({ pageToken: first.nextPageToken ?? '' });
        assertSame(idsOf([...first.tasks, ...rest.tasks]), own);
        const pending = all.filter(
          (task) => own.includes(task.taskId) && task.status === 'pending',
        );
        assertSame((await scoped.listTasks({ status: 'pending' })).tasks, pending);
      }
    });

    test('must have a name that can be stored', async ({ storage }) => {
      for (const tenantId of ['', 'a\0b', '\ud800', 'x'.repeat(256)]) {
        assert.throws(
          () => storage.forTenant(tenantId),
          (error) => error instanceof InvalidTaskError && error.field === 'tenantId',
        );
      }
      const longest = '🦊'.repeat(255);
      assert.equal(await storage.forTenant(longest).createTask(minimalTask('a')), true);
      assert.equal((await existing(storage, 'a')).tenantId, longest);
    });
  },
};

function fullTaskOf(tenantId: string): ReturnType<typeof fullTask> {
  return { ...fullTask('task'), tenantId };
}
