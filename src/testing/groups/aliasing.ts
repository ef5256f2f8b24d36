import assert from 'node:assert/strict';
import { types } from 'node:util';
import type { JsonObject } from '../../task/json.js';
import { TASK_PAYLOAD_FIELDS, type NewTask } from '../../task/task.js';
import { assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { event, existing, fullTask, minimalTask } from '../samples.js';

/** Changes every value of the data, however deep, as a careless caller might. */
function spoil(value: unknown): void {
  if (types.isDate(value)) {
    value.setTime(0);
  } else if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(spoil);
    for (const key of Object.keys(value)) {
      Reflect.set(value, key, 'spoilt');
    }
    Reflect.set(value, 'added', 'spoilt');
  }
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}

function nestedJson(): JsonObject {
  return { list: [{ deep: [1, 2] }], object: { deep: { deeper: 'kept' } } };
}

export const aliasingGroup: ConformanceGroup = {
  title: 'no aliasing',
  define(test) {
    test('keeps a new task as it was when createTask was called', async ({ storage }) => {
      const task: NewTask = fullTask('task');
      const events = [event('starting')];
      const creating = storage.createTask(task, { events });
      spoil(task);
      spoil(events);
      await creating;
      const stored = await existing(storage, 'task');
      assertSame({ ...stored, ...fullTask('task') }, stored);
      assert.equal((await storage.listEvents('task'))[0]?.stage, 'starting');
    });

    test('keeps an update as it was when updateTask was called', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      for (const field of TASK_PAYLOAD_FIELDS) {
        const updates = { [field]: nestedJson() };
        const updating = storage.updateTask('task', updates);
        spoil(updates);
        await updating;
        assertSame((await existing(storage, 'task'))[field], nestedJson());
      }
    });

    test('keeps events as they were when they were handed over', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const appended = [event('appended')];
      const appending = storage.appendEvents('task', appended);
      spoil(appended);
      await appending;
      const events = [event('updated')];
      const updating = storage.updateTask('task', {}, { events });
      spoil(events);
      await updating;
      const stored = await storage.listEvents('task');
      assertSame(
        stored.map(({ stage }) => stage),
        ['appended', 'updated'],
      );
    });

    test('keeps a setting as it was when putSetting was called', async ({ storage }) => {
      const value = nestedJson();
      const writing = storage.settings.putSetting('setting', value, 0);
      spoil(value);
      await writing;
      assertSame((await storage.settings.getSetting('setting'))?.value, nestedJson());
    });

    test('changes nothing that it is given', async ({ storage }) => {
      const events = freeze([event('starting')]);
      await storage.createTask(freeze(fullTask('task')), freeze({ events }));
      await storage.updateTask('task', freeze({ requestData: nestedJson() }), freeze({ events }));
      await storage.appendEvents('task', events);
      await storage.listTasks(freeze({ limit: 1 }));
      await storage.settings.putSetting('setting', freeze(nestedJson()), 0);
      assertSame((await existing(storage, 'task')).requestData, nestedJson());
    });

    test('stores nothing of what is done to an answer', async ({ storage }) => {
      await storage.createTask(fullTask('task'), { events: [event('starting')] });
      await storage.updateTask('task', { requestData: nestedJson() });
      await storage.settings.putSetting('setting', nestedJson(), 0);
      const read = async (): Promise<unknown[]> => [
        await storage.getTask('task'),
        await storage.listTasks(),
        await storage.listTasks({ view: 'summary' }),
        await storage.forTenant('tenant').listTasks(),
        await storage.listEvents('task'),
        await storage.settings.getSetting('setting'),
      ];
      const before = structuredClone(await read());
      (await read()).forEach(spoil);
      assertSame(await read(), before);
    });
  },
};
