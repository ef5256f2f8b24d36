import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { assertInvalid, assertSame, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';

/** Work that goes on until it is let go. */
export function createHeldWork(): {
  work: () => Promise<string>;
  started: Promise<void>;
  letGo: () => void;
} {
  let start = (): void => undefined;
  let letGo = (): void => undefined;
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  const held = new Promise<string>((resolve) => {
    letGo = () => resolve('done');
  });
  return {
    work: () => {
      start();
      return held;
    },
    started,
    letGo: () => letGo(),
  };
}

const mustNotRun = (): Promise<never> => assert.fail('This work must not run');

export const exclusiveGroup: ConformanceGroup = {
  title: 'runExclusively',
  define(test) {
    test('runs the work and answers its value', async ({ storage }) => {
      const answer = await storage.runExclusively('name', async () => ({ sum: 3 }));
      assertSame(answer, { ran: true, value: { sum: 3 } });
      const nothing = await storage.runExclusively('name', async () => undefined);
      assertSame(nothing, { ran: true, value: undefined });
    });

    test('does not run work of a name that is at work', async ({ storage }) => {
      const { work, started, letGo } = createHeldWork();
      const running = storage.runExclusively('name', work);
      await started;
      assertSame(await storage.runExclusively('name', mustNotRun), { ran: false });
      assertSame(await storage.runExclusively('Name', async () => 1), { ran: true, value: 1 });
      letGo();
      assertSame(await running, { ran: true, value: 'done' });
      assertSame(await storage.runExclusively('name', async () => 2), { ran: true, value: 2 });
    });

    test('does not wait for itself', async ({ storage }) => {
      const answer = await storage.runExclusively('name', () =>
        storage.runExclusively('name', mustNotRun),
      );
      assertSame(answer, { ran: true, value: { ran: false } });
    });

    test('hands on the error of the work and lets the next one run', async ({ storage }) => {
      const broken = new RangeError('The work failed');
      const throwing = (): Promise<never> => {
        throw broken;
      };
      for (const work of [() => Promise.reject(broken), throwing]) {
        await assert.rejects(storage.runExclusively('name', work), (error) => error === broken);
        assertSame(await storage.runExclusively('name', async () => 1), { ran: true, value: 1 });
      }
    });

    test('never runs two of many at once', async ({ storage }) => {
      let atWork = 0;
      let most = 0;
      const work = async (): Promise<void> => {
        atWork += 1;
        most = Math.max(most, atWork);
        await storage.countActiveTasks();
        await setImmediate();
        atWork -= 1;
      };
      const answers = await Promise.all(
        times(20, () => storage.runExclusively('name', work)).map((run) => run()),
      );
      assert.equal(most, 1);
      assert.ok(answers.some(({ ran }) => ran));
    });

    test('lets the work use the storage', async ({ storage }) => {
      const answer = await storage.runExclusively('name', async () => {
        await storage.createTask({ taskId: 'task', query: '', maxSteps: 1 });
        return storage.countActiveTasks();
      });
      assertSame(answer, { ran: true, value: 1 });
    });

    test('refuses a name that cannot be stored', async ({ storage }) => {
      for (const name of ['', 'a\0b', '\ud800', 'x'.repeat(256)]) {
        await assertInvalid('name', () => storage.runExclusively(name, mustNotRun));
      }
    });
  },
};
