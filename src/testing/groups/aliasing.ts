import assert from 'node:assert/strict';
import { types } from 'node:util';
import type { JsonObject } from '../../task/json.js';
import { TASK_JSON_FIELDS, type NewTask } from '../../task/task.js';
import { assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import {
  createBrieflyHeld,
  heldBy,
  termOf,
  waitForLeasesToEnd,
  whileHeldBy,
} from '../lease-samples.js';
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
      for (const field of TASK_JSON_FIELDS) {
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

    test('keeps a lease as it was when it was asked for', async ({ storage }) => {
      const created = heldBy('creator');
      const creating = storage.createTask(minimalTask('held'), created);
      spoil(created);
      await creating;
      await storage.createTask(minimalTask('queued'), { queue: true });
      const options = { ...termOf('claimer'), limit: 1 };
      const claiming = storage.leases.claimQueued(options);
      spoil(options);
      await claiming;
      assert.equal((await existing(storage, 'held')).leaseOwner, 'creator');
      assert.equal((await existing(storage, 'queued')).leaseOwner, 'claimer');

      const renewal = { ...termOf('claimer'), taskIds: ['queued'] };
      const renewing = storage.leases.renew(renewal);
      spoil(renewal);
      assertSame([...(await renewing)], [['queued', 1]]);
      const guard = whileHeldBy('claimer');
      const updating = storage.updateTask('queued', { query: 'changed' }, guard);
      spoil(guard);
      assert.equal(await updating, true);
    });

    test('stores nothing of what is done to a claimed task', async ({ storage }) => {
      await storage.createTask(minimalTask('queued', { requestData: nestedJson() }), {
        queue: true,
      });
      await createBrieflyHeld(storage, 'expired', 'lost', { requestData: nestedJson() });
      await waitForLeasesToEnd(storage);
      const options = { ...termOf('claimer'), limit: 1 };
      const claims = [
        await storage.leases.claimQueued(options),
        await storage.leases.claimExpired(options),
      ];
      const { tasks } = structuredClone(await storage.listTasks());
      spoil(claims);
      assertSame((await storage.listTasks()).tasks, tasks);
      assertSame(Object.fromEntries(await storage.leases.renew(termOf('claimer'))), {
        queued: 1,
        expired: 2,
      });
    });

    test('changes nothing that it is given', async ({ storage }) => {
      const events = freeze([event('starting')]);
      await storage.createTask(freeze(fullTask('task')), freeze({ events }));
      await storage.updateTask('task', freeze({ requestData: nestedJson() }), freeze({ events }));
      await storage.appendEvents('task', events);
      await storage.getTask('task', freeze({ view: 'summary' }));
      await storage.listTasks(freeze({ limit: 1 }));
      await storage.leases.claimQueued(freeze({ ...termOf('owner'), limit: 1 }));
      await storage.leases.renew(freeze({ ...termOf('owner'), taskIds: ['held'] }));
      await storage.createTask(minimalTask('held'), freeze(heldBy('owner')));
      await storage.updateTask('held', {}, freeze(whileHeldBy('owner')));
      await storage.settings.putSetting('setting', freeze(nestedJson()), 0);
      assertSame((await existing(storage, 'task')).requestData, nestedJson());
    });

    test('stores nothing of what is done to an answer', async ({ storage }) => {
      await storage.createTask(fullTask('task'), { events: [event('starting')] });
      await storage.updateTask('task', { requestData: nestedJson() });
      await storage.settings.putSetting('setting', nestedJson(), 0);
      const read = async (): Promise<unknown[]> => [
        await storage.getTask('task'),
        await storage.getTask('task', { view: 'summary' }),
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
