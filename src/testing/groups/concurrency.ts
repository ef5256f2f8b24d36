import assert from 'node:assert/strict';
import { TaskConflictError, TaskStorageError } from '../../task/errors.js';
import type { TaskOperations, TaskStorage } from '../../task/task-storage.js';
import { assertRejects, assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, event, existing, minimalTask } from '../samples.js';

/** Adds one to `maxSteps` as a careful caller does: read, write what was read, else start again. */
async function increment(storage: TaskOperations): Promise<void> {
  for (;;) {
    const { maxSteps, version } = await existing(storage, 'task');
    try {
      await storage.updateTask('task', { maxSteps: maxSteps + 1 }, { expectedVersion: version });
      return;
    } catch (error) {
      if (!(error instanceof TaskConflictError)) {
        throw error;
      }
    }
  }
}

/** What a call came to: its answer, or the code of its error. */
async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: unknown) => {
    if (error instanceof TaskStorageError) {
      return error.code;
    }
    throw error;
  });
}

/** Calls of every kind about the tasks of one round, each with what it must come to. */
function mixedCalls(storage: TaskStorage, round: number): [() => Promise<unknown>, unknown][] {
  const id = (name: string): string => `${name}-${round}`;
  const create = (taskId: string) => async () => storage.createTask(minimalTask(taskId));
  const read =
    (taskId: string, tasks: TaskOperations = storage) =>
    async () =>
      tasks.getTask(taskId).then((task) => task?.query ?? null);
  const other = storage.forTenant('other');
  const events = Array.from({ length: round + 1 }, () => event('burst'));
  return [
    [create(id('new')), true],
    // Whichever of the two it is that creates it.
    [async () => tally([create(id('twice')), create(id('twice'))]), { false: 1, true: 1 }],
    [create(id('read')), false],
    [read(id('read')), id('read')],
    [read(id('missing')), null],
    [read(id('read'), other), null],
    [
      () => storage.updateTask(id('changed'), { result: id('changed') }, { expectedVersion: 1 }),
      true,
    ],
    [() => storage.updateTask(id('read'), { result: 'no' }, { expectedVersion: 9 }), 'CONFLICT'],
    [() => storage.updateTask(id('missing'), { result: 'no' }), false],
    [() => storage.appendEvents(id('logged'), events), events.length],
    [() => storage.appendEvents(id('ended'), events), 'ILLEGAL_TRANSITION'],
    [() => storage.appendEvents(id('missing'), events), null],
    [() => other.updateTask(id('read'), { result: 'no' }), false],
    [() => other.appendEvents(id('read'), events), null],
  ];
}

export const concurrencyGroup: ConformanceGroup = {
  title: 'optimistic concurrency',
  define(test) {
    test('writes when the expected version is the stored one', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      assert.equal(await storage.updateTask('task', { maxSteps: 2 }, { expectedVersion: 1 }), true);
      assert.equal(await storage.updateTask('task', { maxSteps: 3 }, { expectedVersion: 2 }), true);
      const { maxSteps, version } = await existing(storage, 'task');
      assertSame([maxSteps, version], [3, 3]);
    });

    for (const expectedVersion of [0, 1, 3]) {
      test(`refuses version ${expectedVersion} of a task at version 2`, async ({ storage }) => {
        await storage.createTask(minimalTask('task'));
        await storage.updateTask('task', {});
        const before = await existing(storage, 'task');
        const error = await assertRejects('CONFLICT', () =>
          storage.updateTask('task', { maxSteps: 9 }, { expectedVersion, events: [event('a')] }),
        );
        assert.ok(error instanceof TaskConflictError);
        assertSame([error.expectedVersion, error.actualVersion], [expectedVersion, 2]);
        assertSame(await existing(storage, 'task'), before);
        assertSame(await storage.listEvents('task'), []);
      });
    }

    test('answers false, not CONFLICT, for a task that does not exist', async ({ storage }) => {
      assert.equal(await storage.updateTask('task', {}, { expectedVersion: 1 }), false);
    });

    test('says CONFLICT when the transition is illegal as well', async ({ storage }) => {
      await createAs(storage, 'task', 'finished');
      await assertRejects('CONFLICT', () =>
        storage.updateTask('task', { status: 'running' }, { expectedVersion: 1 }),
      );
      await assertRejects('ILLEGAL_TRANSITION', () =>
        storage.updateTask('task', { status: 'running' }, { expectedVersion: 2 }),
      );
    });

    test('lets one of many simultaneous writers of a version win', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const writers = times(20, (index) =>
        storage.updateTask('task', { maxSteps: index + 1 }, { expectedVersion: 1 }),
      );
      assertSame(await tally(writers), { true: 1, CONFLICT: 19 });
      assert.equal((await existing(storage, 'task')).version, 2);
    });

    test('loses no increment of many writers who retry', async ({ storage }) => {
      await storage.createTask(minimalTask('task', { maxSteps: 1 }));
      await Promise.all(times(8, () => increment(storage)).map((write) => write()));
      const { maxSteps, version } = await existing(storage, 'task');
      assertSame([maxSteps, version], [9, 9]);
    });

    test('answers each of many different calls at once for itself', async ({ storage }) => {
      const rounds = Array.from({ length: 20 }, (_, round) => round);
      for (const round of rounds) {
        for (const name of ['read', 'changed', 'logged']) {
          const taskId = `${name}-${round}`;
          await storage.createTask(minimalTask(taskId, { query: taskId }));
        }
        await createAs(storage, `ended-${round}`, 'finished');
      }
      const calls = rounds.flatMap((round) => mixedCalls(storage, round));
      const outcomes = await Promise.all(calls.map(([call]) => outcomeOf(call())));
      assertSame(
        outcomes,
        calls.map(([, expected]) => expected),
      );
      for (const round of rounds) {
        const { result } = await existing(storage, `changed-${round}`);
        const { lastEventSequence } = await existing(storage, `logged-${round}`);
        const { version } = await existing(storage, `read-${round}`);
        assertSame([result, lastEventSequence, version], [`changed-${round}`, round + 1, 1]);
        await existing(storage, `new-${round}`);
      }
    });

    test('does calls about one task in their order, awaited or not', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      await storage.createTask(minimalTask('other'));
      const indexes = Array.from({ length: 60 }, (_, index) => index);
      const answers = await Promise.all(
        indexes.flatMap((index): Promise<unknown>[] => {
          const events = [event('ordered', `${index}`)];
          return [
            storage.appendEvents('other', events),
            index % 3 === 0
              ? storage.updateTask('task', { maxSteps: index + 1 }, { events })
              : storage.appendEvents('task', events),
          ];
        }),
      );
      assertSame(
        answers,
        indexes.flatMap((index) => [index + 1, index % 3 === 0 ? true : index + 1]),
      );
      for (const taskId of ['task', 'other']) {
        const log = await storage.listEvents(taskId);
        assertSame(
          log.map(({ message }) => message),
          indexes.map(String),
        );
      }
      assert.equal((await existing(storage, 'task')).maxSteps, 58);
    });
  },
};
