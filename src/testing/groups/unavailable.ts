import assert from 'node:assert/strict';
import type { TaskOperations, TaskStorage } from '../../task/task-storage.js';
import { assertSame, rejectionOf } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { termOf } from '../lease-samples.js';
import { event, existing, fullTask, minimalTask } from '../samples.js';

type NamedOperations = readonly (readonly [string, () => Promise<unknown>])[];

function operationsOn(tasks: TaskOperations, scope: string): NamedOperations {
  return [
    [`${scope}createTask`, () => tasks.createTask(minimalTask('new'))],
    [`${scope}createTask of a taken id`, () => tasks.createTask(minimalTask('task'))],
    [
      `${scope}createTask under a limit`,
      () => tasks.createTask(minimalTask('new'), { maxActiveTasks: 9 }),
    ],
    [`${scope}createTask in a queue`, () => tasks.createTask(minimalTask('new'), { queue: true })],
    [`${scope}getTask`, () => tasks.getTask('task')],
    [`${scope}getTask of a missing task`, () => tasks.getTask('missing')],
    [`${scope}getTask of a summary`, () => tasks.getTask('task', { view: 'summary' })],
    [`${scope}updateTask`, () => tasks.updateTask('task', { query: 'changed' })],
    [`${scope}updateTask of a missing task`, () => tasks.updateTask('missing', {})],
    [`${scope}deleteTask`, () => tasks.deleteTask('task')],
    [`${scope}listTasks`, () => tasks.listTasks()],
    [`${scope}listTasks of summaries`, () => tasks.listTasks({ view: 'summary', limit: 1 })],
    [`${scope}countActiveTasks`, () => tasks.countActiveTasks()],
    [`${scope}cleanupOldTasks`, () => tasks.cleanupOldTasks(0)],
    [`${scope}cleanupOldTasks in a dry run`, () => tasks.cleanupOldTasks(1, { dryRun: true })],
    [`${scope}appendEvents`, () => tasks.appendEvents('task', [event('late')])],
    [`${scope}listEvents`, () => tasks.listEvents('task')],
  ];
}

function everyOperation(storage: TaskStorage, scoped: TaskOperations): NamedOperations {
  return [
    ...operationsOn(storage, ''),
    ...operationsOn(scoped, 'scoped '),
    ['ping', () => storage.ping()],
    ['claimQueued', () => storage.leases.claimQueued({ ...termOf('owner'), limit: 1 })],
    ['claimExpired', () => storage.leases.claimExpired({ ...termOf('owner'), limit: 1 })],
    ['renew', () => storage.leases.renew(termOf('owner'))],
    ['getSetting', () => storage.settings.getSetting('name')],
    ['putSetting', () => storage.settings.putSetting('name', {}, 0)],
    ['runExclusively', () => storage.runExclusively('name', async () => true)],
  ];
}

/** @returns what is wrong with the operations' failures; all of them are started at once */
async function wrongFailures(operations: NamedOperations, needsCause: boolean): Promise<string[]> {
  const judged = operations.map(async ([name, operation]) => {
    try {
      const error = await rejectionOf(operation);
      if (error.code !== 'UNAVAILABLE') {
        return `${name}: ${error.code}, ${error.message}`;
      }
      return needsCause && error.cause === undefined ? `${name}: the error has no cause` : '';
    } catch (error) {
      return `${name}: ${error instanceof Error ? error.message : 'no error'}`;
    }
  });
  return (await Promise.all(judged)).filter((problem) => problem !== '');
}

export const closedGroup: ConformanceGroup = {
  title: 'a closed storage',
  define(test) {
    test('answers UNAVAILABLE to every operation', async ({ storage }) => {
      const scoped = storage.forTenant('tenant');
      await storage.createTask(fullTask('task'), { events: [event('starting')] });
      await storage.close();
      assertSame(await wrongFailures(everyOperation(storage, scoped), false), []);
      const late = storage.forTenant('tenant');
      assertSame(await wrongFailures(operationsOn(late, 'late '), false), []);
    });

    test('may be closed again', async ({ storage }) => {
      await storage.close();
      await storage.close();
      await Promise.all([storage.close(), storage.close()]);
    });

    test('answers to ping while it is open', async ({ storage }) => {
      assert.equal(await storage.ping(), undefined);
      assert.ok(storage.description.length > 0, 'A storage must have a description');
    });
  },
};

export const unreachableGroup: ConformanceGroup = {
  title: 'an unreachable backend',
  requires: 'breakable',
  define(test) {
    test('makes every operation UNAVAILABLE, with the cause', async (setup) => {
      const { storage, breakConnection } = setup;
      const scoped = storage.forTenant('tenant');
      await storage.createTask(fullTask('task'), { events: [event('starting')] });
      await breakConnection();
      assertSame(await wrongFailures(everyOperation(storage, scoped), true), []);
    });

    test('is used again as soon as it is back, and nothing has changed', async (setup) => {
      const { storage, breakConnection, restoreConnection } = setup;
      await storage.createTask(fullTask('task'), { events: [event('starting')] });
      const before = await existing(storage, 'task');
      await breakConnection();
      await wrongFailures(everyOperation(storage, storage.forTenant('tenant')), true);
      await restoreConnection();
      await storage.ping();
      assertSame(await existing(storage, 'task'), before);
      assert.equal((await storage.listEvents('task')).length, 1);
      assert.equal(await storage.createTask(minimalTask('new')), true);
      assert.equal(await storage.countActiveTasks(), 2);
    });
  },
};
