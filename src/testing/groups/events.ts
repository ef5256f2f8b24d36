import assert from 'node:assert/strict';
import { IllegalTransitionError, TaskConflictError } from '../../task/errors.js';
import type { TaskOperations } from '../../task/task-storage.js';
import { assertRejects, assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { createAs, event, existing, minimalTask } from '../samples.js';

/** The events as `1 starting` or `2 finished -> finished`, and their order checked. */
async function readEvents(storage: TaskOperations, taskId = 'task'): Promise<string[]> {
  const events = await storage.listEvents(taskId, { limit: 1000 });
  return events.map(({ sequence, stage, status }) =>
    [sequence, stage, ...(status === null ? [] : ['->', status])].join(' '),
  );
}

export const eventsGroup: ConformanceGroup = {
  title: 'events',
  define(test) {
    test('are listed with all that was said', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), { events: [event('starting', 'Hello')] });
      const [stored, ...others] = await storage.listEvents('task');
      const { createdAt } = await existing(storage, 'task');
      assertSame(others, []);
      assertSame(stored, {
        taskId: 'task',
        sequence: 1,
        stage: 'starting',
        message: 'Hello',
        status: 'pending',
        createdAt,
      });
    });

    test('follow each other without gaps, however they come', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), { events: [event('a'), event('b')] });
      assert.equal(await storage.appendEvents('task', [event('c'), event('d')]), 4);
      await storage.updateTask('task', { query: 'changed' }, { events: [event('e')] });
      await storage.updateTask('task', { status: 'running' }, { events: [event('f'), event('g')] });
      assert.equal(await storage.appendEvents('task', [event('h')]), 8);
      await storage.updateTask('task', { status: 'error' }, { events: [event('i')] });
      assertSame(await readEvents(storage), [
        '1 a',
        '2 b -> pending',
        '3 c',
        '4 d',
        '5 e',
        '6 f',
        '7 g -> running',
        '8 h',
        '9 i -> error',
      ]);
    });

    test('carry the first status when a task starts running', async ({ storage }) => {
      const running = minimalTask('task', { status: 'running' });
      await storage.createTask(running, { events: [event('a'), event('b')] });
      assertSame(await readEvents(storage), ['1 a', '2 b -> running']);
    });

    test('show in lastEventSequence, and in version and updatedAt not', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), { events: [event('a')] });
      const created = await existing(storage, 'task');
      assert.equal(created.lastEventSequence, 1);
      await storage.appendEvents('task', [event('b'), event('c')]);
      assertSame(await existing(storage, 'task'), { ...created, lastEventSequence: 3 });
      await storage.updateTask('task', {}, { events: [event('d')] });
      const { lastEventSequence, version } = await existing(storage, 'task');
      assertSame([lastEventSequence, version], [4, 2]);
    });

    test('are replayed after a sequence, as many as the limit says', async ({ storage }) => {
      await createAs(storage, 'task', 'running');
      const events = Array.from({ length: 120 }, (_, index) => event(`${index + 1}`));
      assert.equal(await storage.appendEvents('task', events), 120);
      const sequences = async (afterSequence?: number, limit?: number): Promise<number[]> => {
        const found = await storage.listEvents('task', { afterSequence, limit });
        return found.map(({ sequence }) => sequence);
      };
      const all = events.map((_, index) => index + 1);
      assertSame(await sequences(), all.slice(0, 100));
      assertSame(await sequences(0, 1000), all);
      assertSame(await sequences(100), all.slice(100));
      assertSame(await sequences(10, 3), [11, 12, 13]);
      assertSame(await sequences(119, 5), [120]);
      assertSame(await sequences(120), []);
      assertSame(await sequences(2_147_483_647), []);
    });

    test('come a thousand at once, and in the order given', async ({ storage }) => {
      const events = Array.from({ length: 1000 }, (_, index) => event(`${index + 1}`));
      await storage.createTask(minimalTask('task'), { events });
      await storage.updateTask('task', {}, { events });
      assert.equal(await storage.appendEvents('task', events), 3000);
      const stored = await storage.listEvents('task', { afterSequence: 1000, limit: 1000 });
      assertSame(
        stored.map(({ sequence, stage, message }) => ({ sequence, stage, message })),
        events.map((given, index) => ({ sequence: 1001 + index, ...given })),
      );
    });

    test('of one task are none of another', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), { events: [event('a')] });
      await storage.createTask(minimalTask('other'));
      await storage.appendEvents('other', [event('x')]);
      await storage.appendEvents('task', [event('b')]);
      assertSame(await readEvents(storage), ['1 a -> pending', '2 b']);
      assertSame(await readEvents(storage, 'other'), ['1 x']);
    });

    test('of a task that does not exist are none, and null is answered', async ({ storage }) => {
      assertSame(await storage.listEvents('task'), []);
      assert.equal(await storage.appendEvents('task', [event('a')]), null);
      assertSame(await storage.listEvents('task'), []);
    });

    test('are not added by a createTask that answers false', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), { events: [event('a')] });
      await storage.createTask(minimalTask('task'), { events: [event('b')] });
      assertSame(await readEvents(storage), ['1 a -> pending']);
    });

    test('cannot follow the end of a task', async ({ storage }) => {
      for (const status of ['finished', 'error', 'cancelled'] as const) {
        await createAs(storage, status, status);
        const before = await existing(storage, status);
        const events = [event('late')];
        for (const add of [
          () => storage.appendEvents(status, events),
          () => storage.updateTask(status, { result: 'late' }, { events }),
        ]) {
          const error = await assertRejects('ILLEGAL_TRANSITION', add);
          assert.ok(error instanceof IllegalTransitionError);
          assertSame([error.taskId, error.from, error.to], [status, status, null]);
        }
        assertSame(await existing(storage, status), before);
        assertSame(await storage.listEvents(status), []);
        assert.equal(await storage.updateTask(status, { result: 'late' }, { events: [] }), true);
      }
    });

    test('are added only where the writer has left the log, if it says so', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      const events = [event('a'), event('b')];
      assert.equal(await storage.appendEvents('task', events, { expectedSequence: 0 }), 2);
      const before = await existing(storage, 'task');
      for (const expectedSequence of [0, 1, 3]) {
        for (const add of [
          () => storage.appendEvents('task', events, { expectedSequence }),
          () => storage.updateTask('task', { result: 'no' }, { expectedSequence, events }),
        ]) {
          const error = await assertRejects('CONFLICT', add);
          assert.ok(error instanceof TaskConflictError);
          assertSame([error.expectedVersion, error.actualVersion], [expectedSequence, 2]);
        }
      }
      assertSame(await existing(storage, 'task'), before);
      const options = { expectedSequence: 2, events: [event('c')] };
      assert.equal(await storage.updateTask('task', { status: 'running' }, options), true);
      assertSame(await readEvents(storage), ['1 a', '2 b', '3 c -> running']);
    });

    test('that are repeated by many are added once', async ({ storage }) => {
      await createAs(storage, 'task', 'running');
      const repeats = times(20, () =>
        storage.appendEvents('task', [event('a'), event('b')], { expectedSequence: 0 }),
      );
      assertSame(await tally(repeats), { 2: 1, CONFLICT: 19 });
      assertSame(await readEvents(storage), ['1 a', '2 b']);
    });

    test('of many simultaneous writers have no gaps and stay together', async ({ storage }) => {
      await createAs(storage, 'task', 'running');
      const appended = await Promise.all(
        times(20, (index) =>
          storage.appendEvents('task', [event(`${index} a`), event(`${index} b`)]),
        ).map((append) => append()),
      );
      const stages = new Map<number, string>();
      for (const { sequence, stage } of await storage.listEvents('task')) {
        stages.set(sequence, stage);
      }
      assertSame(
        [...stages.keys()],
        Array.from({ length: 40 }, (_, index) => index + 1),
      );
      for (const [index, last] of appended.entries()) {
        assert.ok(last !== null, 'The task exists');
        assertSame([stages.get(last - 1), stages.get(last)], [`${index} a`, `${index} b`]);
      }
      assert.equal((await existing(storage, 'task')).lastEventSequence, 40);
    });

    test('end with the one that carries the end, whoever races', async ({ storage }) => {
      await createAs(storage, 'task', 'running');
      const writers = times<unknown>(20, (index) =>
        storage.appendEvents('task', [event(`${index}`)]),
      );
      const end = () =>
        storage.updateTask('task', { status: 'finished' }, { events: [event('end')] });
      const racers = writers.toSpliced(10, 0, end).map((race) => race());
      const outcomes = await Promise.allSettled(racers);
      const added = outcomes.filter(({ status }) => status === 'fulfilled').length;
      const stored = await readEvents(storage);
      assert.equal(stored.length, added);
      assert.equal(stored.at(-1), `${added} end -> finished`);
    });
  },
};
