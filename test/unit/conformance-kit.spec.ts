import { describe, expect, it } from '@jest/globals';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { systemClock } from '../../src/task/clock.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import {
  describeTaskStorage,
  type TaskStorageCapabilities,
  type TaskStorageHarness,
} from '../../src/testing/index.js';
import { brokenStorages } from '../support/broken-storages/index.js';
import { recordTests, runRecordedTests, type RecordedTest } from '../support/recorded-tests.js';

const DAY_MS = 86_400_000;

function createHarness(breakStorage = (storage: TaskStorage) => storage): TaskStorageHarness {
  let aheadMs = 0;
  const storage = createMemoryTaskStorage({
    clock: { ...systemClock, now: () => new Date(systemClock.now().getTime() + aheadMs) },
  });
  return {
    storage: breakStorage(storage),
    passDays: async (days) => {
      aheadMs += days * DAY_MS;
    },
    dispose: () => storage.close(),
  };
}

function testsOf(
  createOne: () => TaskStorageHarness,
  capabilities: Partial<TaskStorageCapabilities> = {},
): RecordedTest[] {
  return recordTests((testApi) => {
    describeTaskStorage('any', async () => createOne(), {
      ages: true,
      durable: false,
      breakable: false,
      ...capabilities,
      testApi,
    });
  });
}

async function failuresIn(tests: readonly RecordedTest[], title: string): Promise<unknown[]> {
  const chosen = tests.filter(({ name }) => name.includes(title));
  expect(chosen).not.toHaveLength(0);
  return [...(await runRecordedTests(chosen)).values()];
}

describe('the conformance kit', () => {
  it('is green on the memory storage', async () => {
    const failures = await runRecordedTests(testsOf(() => createHarness()));
    expect([...failures.keys()]).toEqual([]);
  });

  it.each(brokenStorages)('is red on a storage that $mistake', async (broken) => {
    const tests = testsOf(() => createHarness(broken.breakStorage), {
      randomSequences: 300,
      hintsWithinMs: 300,
    });
    const failures = await failuresIn(tests, broken.caughtBy);
    expect(failures).toHaveLength(1);
  });

  it('says why it is red', async () => {
    const broken = (storage: TaskStorage): TaskStorage =>
      Object.assign(Object.create(storage), { ping: () => storage.ping(), description: '' });
    const [failure] = await failuresIn(
      testsOf(() => createHarness(broken)),
      'answers to ping',
    );
    expect(String(failure)).toContain('A storage must have a description');
  });

  it('skips, and reports as skipped, what a harness cannot do', () => {
    const able = testsOf(() => createHarness(), { ages: true, durable: true, breakable: true });
    const unable = testsOf(() => createHarness(), { ages: false });
    expect(able.filter(({ isSkipped }) => isSkipped)).toEqual([]);
    expect(unable).toHaveLength(able.length);
    const skipped = new Set(
      unable.filter(({ isSkipped }) => isSkipped).map(({ name }) => name.split(' > ')[1]),
    );
    expect([...skipped]).toEqual([
      'times (not ages)',
      'cleanupOldTasks as time passes (not ages)',
      'expired leases as time passes (not ages)',
      'a restart and a second process (not durable)',
      'changes of a second process (not durable)',
      'an unreachable backend (not breakable)',
    ]);
  });

  it('is red when a harness lacks what its capabilities promise', async () => {
    const tests = testsOf(() => createHarness(), { durable: true, breakable: true });
    const failures = [
      ...(await failuresIn(tests, 'a restart and a second process')),
      ...(await failuresIn(tests, 'changes of a second process')),
      ...(await failuresIn(tests, 'an unreachable backend')),
    ];
    expect(failures).toHaveLength(14);
    for (const failure of failures) {
      expect(String(failure)).toMatch(/The harness has no \w+; write it, or set \w+ to false/);
    }
  });

  it('is red when a second process sees other data', async () => {
    const tests = testsOf(
      () => ({ ...createHarness(), reopen: async () => createMemoryTaskStorage() }),
      { durable: true },
    );
    expect(await failuresIn(tests, 'a restart and a second process')).not.toHaveLength(0);
  });

  it('is red when a lost backend goes on answering', async () => {
    const tests = testsOf(
      () => ({
        ...createHarness(),
        breakConnection: async () => undefined,
        restoreConnection: async () => undefined,
      }),
      { breakable: true },
    );
    expect(await failuresIn(tests, 'makes every operation UNAVAILABLE')).toHaveLength(1);
  });

  it('names what is missing when the test runner has no global functions', () => {
    const capabilities = { ages: false, durable: false, breakable: false };
    const { describe: globalDescribe } = globalThis as { describe?: unknown };
    Reflect.deleteProperty(globalThis, 'describe');
    try {
      expect(() => describeTaskStorage('any', async () => createHarness(), capabilities)).toThrow(
        'pass testApi: { describe, it }',
      );
    } finally {
      Reflect.set(globalThis, 'describe', globalDescribe);
    }
  });

  it('gives each test a storage of its own, and everything back', async () => {
    const open = new Set<number>();
    let created = 0;
    const tests = testsOf(() => {
      created += 1;
      const number = created;
      open.add(number);
      const harness = createHarness();
      return {
        ...harness,
        dispose: async () => {
          open.delete(number);
          await harness.dispose();
        },
      };
    });
    const some = tests.filter(({ name }) => name.includes('deleteTask'));
    await runRecordedTests(some);
    expect(created).toBe(some.length);
    expect(open.size).toBe(0);
  });
});
