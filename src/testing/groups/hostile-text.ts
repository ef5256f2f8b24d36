import assert from 'node:assert/strict';
import type { NewTask, TaskUpdates } from '../../task/task.js';
import { assertInvalid, assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { heldBy, whileHeldBy } from '../lease-samples.js';
import { createAs, event, existing, minimalTask, storedIds } from '../samples.js';

/** What Postgres cannot hold, and what other stores hold in ways of their own. */
const UNSTORABLE = ['\0', 'a\0b', '\ud800', 'a\udfff', '\udc00\ud800'];

const STORABLE = [
  '',
  ' ',
  ' leading and trailing\t',
  '\r\n\n\r',
  '\u0001\u001f\u007f\u0085\u2028\u2029\u200b\ufeff\ufffe\uffff',
  'C:\\u0000dir \\x00 \\0 %00 &#0;',
  `'; DROP TABLE agent_tasks; -- " \` $1 \${x} %s :name ?`,
  '%_\\',
  'null',
  '{"json": [1]}',
  '\u{1F98A}\u{10FFFF}e\u0301\u00e9\u202eעברית',
  '__proto__',
];

const NEW_TASK_TEXTS = ['taskId', 'tenantId', 'query', 'timestampDir', 'sealedRequest'] as const;
const UPDATE_TEXTS = [
  'query',
  'finalState',
  'timestampDir',
  'result',
  'error',
] as const satisfies readonly (keyof TaskUpdates)[];

export const hostileTextGroup: ConformanceGroup = {
  title: 'hostile text',
  define(test) {
    test('is refused in a new task, naming the field', async ({ storage }) => {
      for (const field of NEW_TASK_TEXTS satisfies readonly (keyof NewTask)[]) {
        for (const text of UNSTORABLE) {
          const task = { ...minimalTask('task'), [field]: text };
          await assertInvalid(field, () => storage.createTask(task));
        }
      }
      assertSame(await storedIds(storage), []);
    });

    test('is refused in an update, naming the field', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const before = await existing(storage, 'task');
      for (const field of UPDATE_TEXTS) {
        for (const text of UNSTORABLE) {
          const updates = { maxSteps: 99, [field]: text };
          await assertInvalid(field, () => storage.updateTask('task', updates));
        }
      }
      assertSame(await existing(storage, 'task'), before);
    });

    test('is refused in an event, with all that came along', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const before = await existing(storage, 'task');
      for (const text of UNSTORABLE) {
        for (const [field, bad] of [
          ['events[1].stage', event(text)],
          ['events[1].message', event('bad', text)],
        ] as const) {
          const events = [event('good'), bad];
          await assertInvalid(field, () => storage.appendEvents('task', events));
          await assertInvalid(field, () => storage.updateTask('task', {}, { events }));
          await assertInvalid(field, () => storage.createTask(minimalTask('new'), { events }));
        }
      }
      assertSame(await existing(storage, 'task'), before);
      assertSame(await storage.listEvents('task'), []);
      assertSame(await storedIds(storage), ['task']);
    });

    test('is refused as the id of a task by every operation', async ({ storage }) => {
      for (const taskId of [...UNSTORABLE, '', 'x'.repeat(256), '🦊'.repeat(256)]) {
        await assertInvalid('taskId', () => storage.createTask(minimalTask(taskId)));
        await assertInvalid('taskId', () => storage.getTask(taskId));
        await assertInvalid('taskId', () => storage.getTask(taskId, { view: 'summary' }));
        await assertInvalid('taskId', () => storage.updateTask(taskId, {}));
        await assertInvalid('taskId', () => storage.deleteTask(taskId));
        await assertInvalid('taskId', () => storage.appendEvents(taskId, [event('a')]));
        await assertInvalid('taskId', () => storage.listEvents(taskId));
      }
    });

    test('is refused as the owner of a lease by every operation', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), heldBy('owner'));
      const { leases } = storage;
      for (const owner of [...UNSTORABLE, '', 'x'.repeat(256), '🦊'.repeat(256)]) {
        const term = { owner, leaseMs: 1 };
        const guard = whileHeldBy(owner);
        await assertInvalid('lease.owner', () =>
          storage.createTask(minimalTask('new'), heldBy(owner)),
        );
        await assertInvalid('lease.owner', () => storage.updateTask('task', {}, guard));
        await assertInvalid('lease.owner', () => storage.appendEvents('task', [event('a')], guard));
        await assertInvalid('owner', () => leases.claimQueued({ ...term, limit: 1 }));
        await assertInvalid('owner', () => leases.claimExpired({ ...term, limit: 1 }));
        await assertInvalid('owner', () => leases.renew(term));
      }
      assertSame(await storedIds(storage), ['task']);
    });

    test('comes back as it was, in every field that can hold it', async ({ storage }) => {
      for (const [index, text] of STORABLE.entries()) {
        const taskId = `task ${index}`;
        const name = text === '' ? 'empty' : text;
        const created = { query: text, timestampDir: text, sealedRequest: text };
        await storage.createTask(minimalTask(taskId, created), heldBy(name));
        const updates = { result: text, error: text, finalState: text.slice(0, 20) };
        await storage.updateTask(taskId, updates);
        const task = await existing(storage, taskId);
        assertSame({ ...task, ...created, ...updates, leaseOwner: name }, task);
        await storage.appendEvents(taskId, [event(name, text)], whileHeldBy(name));
        const [stored] = await storage.listEvents(taskId);
        assertSame([stored?.stage, stored?.message], [name, text]);
      }
    });

    test('makes an id like any other', async ({ storage }) => {
      const ids = [...STORABLE.filter((text) => text !== ''), 'x'.repeat(255), '🦊'.repeat(255)];
      for (const taskId of ids) {
        await createAs(storage, taskId, 'pending');
      }
      assertSame(await storedIds(storage), ids.toSorted());
      for (const taskId of ids) {
        assert.equal((await existing(storage, taskId)).taskId, taskId);
        assert.equal(await storage.appendEvents(taskId, [event('a')]), 1);
        assert.equal((await storage.listEvents(taskId))[0]?.taskId, taskId);
        assert.equal(await storage.updateTask(taskId, { query: 'changed' }), true);
        assert.equal(await storage.deleteTask(taskId), true);
        assert.equal(await storage.getTask(taskId), null);
      }
    });

    test('is kept to the documented lengths, in characters', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      await storage.updateTask('task', { finalState: '🦊'.repeat(50) });
      assert.equal((await existing(storage, 'task')).finalState, '🦊'.repeat(50));
      await assertInvalid('finalState', () =>
        storage.updateTask('task', { finalState: 'x'.repeat(51) }),
      );
      const longest = '🦊'.repeat(255);
      await storage.createTask(minimalTask('held'), heldBy(longest));
      assert.equal((await existing(storage, 'held')).leaseOwner, longest);
      for (const stage of ['', 'x'.repeat(256)]) {
        await assertInvalid('events[0].stage', () => storage.appendEvents('task', [event(stage)]));
      }
    });

    test('may be a million characters long where no length is documented', async ({ storage }) => {
      const text = 'The café 🦊 '.repeat(100_000);
      await storage.createTask(minimalTask('task', { query: text, timestampDir: text }));
      await storage.updateTask('task', { result: text, error: text });
      await storage.appendEvents('task', [event('long', text)]);
      const { query, timestampDir, result, error } = await existing(storage, 'task');
      const [stored] = await storage.listEvents('task');
      for (const answer of [query, timestampDir, result, error, stored?.message]) {
        assert.ok(answer === text, 'The long text came back changed');
      }
    });
  },
};
