import assert from 'node:assert/strict';
import type { TaskChange } from '../../task/task-change.js';
import type { TaskStorage } from '../../task/task-storage.js';
import type { Task } from '../../task/task.js';
import { assertSame } from '../assertions.js';
import type { ConformanceGroup, ConformanceTest } from '../conformance-group.js';
import { eventually, PATIENCE_MS } from '../eventually.js';
import { createBrieflyHeld, heldBy, termOf, waitForLeasesToEnd } from '../lease-samples.js';
import { event, minimalTask } from '../samples.js';

type ListenedTo = Pick<ConformanceTest, 'storage' | 'capabilities'>;

/**
 * What a listener hears, each hint with the task as it can be read from then on. A hint that others
 * may have been missed is taken for one about each of the tasks that are watched.
 */
class Ear {
  readonly heard: (TaskChange & { readonly task: Task | null })[] = [];
  readonly end: () => void;
  readonly #withinMs: number;

  /** @param listenTo the storage that gives the hints */
  constructor(listenTo: ListenedTo, watched: readonly string[] = []) {
    const { storage } = listenTo;
    this.#withinMs = listenTo.capabilities.hintsWithinMs ?? PATIENCE_MS;
    this.end = storage.changes.listen((change) => {
      for (const taskId of change.kind === 'missed' ? watched : [change.taskId]) {
        void storage.getTask(taskId).then(
          (task) => this.heard.push({ kind: change.kind, taskId, task }),
          () => undefined,
        );
      }
    });
  }

  /** Waits for a hint that comes when the task can be read as it should be. */
  async hears(
    kinds: TaskChange['kind'] | readonly TaskChange['kind'][],
    taskId: string,
    isWritten: (task: Task | null) => boolean,
  ): Promise<void> {
    const right = [kinds].flat();
    await eventually(
      `A hint that ${taskId} is ${right.join(' or ')}, when that can be read`,
      () => this.heard,
      (heard) =>
        heard.some(
          ({ kind, taskId: told, task }) =>
            right.includes(kind) && told === taskId && isWritten(task),
        ),
      this.#withinMs,
    );
  }
}

/** A cleanup may delete a million tasks; it may tell of them all in one hint. */
const ENDED_BY_CLEANUP = ['ended', 'missed'] as const;

const exists = (task: Task | null): boolean => task !== null;
const isGone = (task: Task | null): boolean => task === null;

/** Runs each change, and waits for the hint that it must give. */
async function assertHints(storage: TaskStorage, ear: Ear): Promise<void> {
  const claim = { ...termOf('claimer'), limit: 1 };
  await storage.createTask(minimalTask('task'));
  await ear.hears('written', 'task', exists);
  await storage.updateTask('task', { query: 'changed' });
  await ear.hears('written', 'task', (task) => task?.query === 'changed');
  await storage.appendEvents('task', [event('step')]);
  await ear.hears('written', 'task', (task) => task?.lastEventSequence === 1);
  await storage.updateTask('task', { status: 'cancelled' });
  await ear.hears('ended', 'task', (task) => task?.status === 'cancelled');
  await storage.cleanupOldTasks(0);
  await ear.hears(ENDED_BY_CLEANUP, 'task', isGone);

  await storage.createTask(minimalTask('held'), heldBy('holder'));
  await ear.hears('written', 'held', exists);
  await storage.forTenant('default').updateTask('held', { status: 'running' });
  await ear.hears('written', 'held', (task) => task?.status === 'running');
  await storage.deleteTask('held');
  await ear.hears('ended', 'held', isGone);

  await storage.createTask(minimalTask('queued'), { queue: true });
  await ear.hears('queued', 'queued', exists);
  await storage.leases.claimQueued(claim);
  await ear.hears('written', 'queued', (task) => task?.leaseOwner === 'claimer');

  await createBrieflyHeld(storage, 'expired', 'lost');
  await waitForLeasesToEnd(storage);
  await storage.leases.claimExpired(claim);
  await ear.hears('written', 'expired', (task) => task?.leaseOwner === 'claimer');
}

/** Waits until everything that was changed before has been told. */
async function untilAllIsTold(setup: ListenedTo): Promise<void> {
  const { storage } = setup;
  const ear = new Ear(setup);
  await storage.createTask(minimalTask('last'));
  await ear.hears('written', 'last', exists);
  await storage.deleteTask('last');
  await ear.hears('ended', 'last', isGone);
  ear.end();
}

export const changesGroup: ConformanceGroup = {
  title: 'changes',
  define(test) {
    test('are told when they can be read, each as what it is', async (setup) => {
      const { storage } = setup;
      await assertHints(storage, new Ear(setup, ['task']));
    });

    test('are told of each task that a cleanup deletes', async (setup) => {
      const { storage } = setup;
      const taskIds = ['a', 'b', 'c'];
      for (const taskId of taskIds) {
        await storage.createTask(minimalTask(taskId));
        await storage.updateTask(taskId, { status: 'error' });
      }
      await untilAllIsTold(setup);
      const ear = new Ear(setup, taskIds);
      await storage.cleanupOldTasks(0);
      for (const taskId of taskIds) {
        await ear.hears(ENDED_BY_CLEANUP, taskId, isGone);
      }
    });

    test('are told of the tasks of every tenant', async (setup) => {
      const { storage } = setup;
      const ear = new Ear(setup);
      const one = storage.forTenant('one');
      await one.createTask(minimalTask('task'), { queue: true });
      await ear.hears('queued', 'task', (task) => task?.tenantId === 'one');
      await one.appendEvents('task', [event('step')]);
      await ear.hears('written', 'task', (task) => task?.lastEventSequence === 1);
      await one.deleteTask('task');
      await ear.hears('ended', 'task', isGone);
    });

    test('are never told from within an operation', async (setup) => {
      const { storage } = setup;
      let isInside = false;
      let toldInside = 0;
      storage.changes.listen(() => {
        toldInside += isInside ? 1 : 0;
      });
      const start = async <T>(operation: () => Promise<T>): Promise<T> => {
        isInside = true;
        const running = operation();
        isInside = false;
        return running;
      };
      await start(() => storage.createTask(minimalTask('task'), { queue: true }));
      await start(() => storage.leases.claimQueued({ ...termOf('claimer'), limit: 1 }));
      await start(() => storage.appendEvents('task', [event('step')]));
      await start(() => storage.updateTask('task', { status: 'cancelled' }));
      await start(() => storage.cleanupOldTasks(0));
      await untilAllIsTold(setup);
      assert.equal(toldInside, 0);
    });

    test('are told to everybody who listens, until they end it', async (setup) => {
      const { storage } = setup;
      const kinds: string[] = [];
      const listener = ({ kind, taskId }: TaskChange): void => {
        kinds.push(...(taskId === 'task' ? [kind] : []));
      };
      const endFirst = storage.changes.listen(listener);
      const endSecond = storage.changes.listen(listener);
      const ear = new Ear(setup);
      await storage.createTask(minimalTask('task'), { queue: true });
      await ear.hears('queued', 'task', exists);
      await untilAllIsTold(setup);
      assert.ok(kinds.filter((kind) => kind === 'queued').length >= 2, 'Each listening is told');

      endFirst();
      endFirst();
      kinds.length = 0;
      await storage.updateTask('task', { status: 'error' });
      await ear.hears('ended', 'task', exists);
      await untilAllIsTold(setup);
      assert.ok(kinds.includes('ended'), 'The second listening goes on');

      endSecond();
      kinds.length = 0;
      await storage.deleteTask('task');
      await ear.hears('ended', 'task', isGone);
      await untilAllIsTold(setup);
      assertSame(kinds, []);
    });

    test('are told to the others when a listener fails', async (setup) => {
      const { storage } = setup;
      storage.changes.listen(() => {
        throw new Error('A listener failed');
      });
      const ear = new Ear(setup);
      storage.changes.listen(() => {
        throw new Error('Another listener failed');
      });
      assert.equal(await storage.createTask(minimalTask('task'), { queue: true }), true);
      await ear.hears('queued', 'task', exists);
    });

    test('are not told any more when the storage is closed', async (setup) => {
      const { storage } = setup;
      const ear = new Ear(setup);
      await storage.createTask(minimalTask('task'));
      await ear.hears('written', 'task', exists);
      await storage.close();
      const { length } = ear.heard;
      await storage.createTask(minimalTask('late')).catch(() => undefined);
      ear.end();
      storage.changes.listen(() => assert.fail('A closed storage told something'))();
      assert.equal(ear.heard.length, length);
    });
  },
};

export const sharedChangesGroup: ConformanceGroup = {
  title: 'changes of a second process',
  requires: 'durable',
  define(test) {
    test('are told too, while isLive says so', async (setup) => {
      const { storage, reopen } = setup;
      const { hintsWithinMs = PATIENCE_MS } = setup.capabilities;
      const deadlineMs = performance.now() + hintsWithinMs;
      await eventually(
        'Hearing of other processes, or giving up',
        () => storage.changes.isLive || performance.now() > deadlineMs,
        (isDecided) => isDecided,
        2 * hintsWithinMs,
      );
      if (!storage.changes.isLive) {
        return;
      }
      const second = await reopen();
      try {
        await assertHints(second, new Ear(setup, ['task']));
      } finally {
        await second.close();
      }
    });
  },
};
