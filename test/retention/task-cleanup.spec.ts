import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { toRetentionPlan, type RetentionOptions } from '../../src/retention/retention-options.js';
import type { RetentionReport } from '../../src/retention/retention-report.js';
import { TaskCleanupService } from '../../src/retention/task-cleanup.service.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TaskStorageError } from '../../src/task/errors.js';
import type { CleanupOptions, TaskStorage } from '../../src/task/task-storage.js';
import { createEndedTasks } from '../support/ended-tasks.js';
import { createGate } from '../support/gate.js';
import { interceptStorage } from '../support/intercepted-storage.js';
import { ManualClock } from '../support/manual-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';

const DAY_MS = 86_400_000;

describe('TaskCleanupService', () => {
  let clock: ManualClock;
  let storage: TaskStorage;
  let logger: RecordingLogger;

  beforeEach(() => {
    clock = new ManualClock();
    storage = createMemoryTaskStorage({ clock });
    logger = new RecordingLogger();
    Logger.overrideLogger(logger);
  });

  afterEach(() => {
    Logger.overrideLogger(false);
  });

  function service(options: RetentionOptions, on: TaskStorage = storage): TaskCleanupService {
    return new TaskCleanupService(on, toRetentionPlan({ pauseMs: 0, ...options }), clock);
  }

  /** Runs to the end, letting every pause pass. */
  async function finish(run: Promise<RetentionReport>): Promise<RetentionReport> {
    const settled: boolean[] = [];
    const watched = run.finally(() => settled.push(true));
    // The caller of `finish` sees the rejection.
    watched.catch(() => undefined);
    while (settled.length === 0) {
      await clock.advance(0);
    }
    return watched;
  }

  async function remaining(): Promise<string[]> {
    const { tasks } = await storage.listTasks({ limit: 1000 });
    return tasks.map((task) => task.taskId).sort();
  }

  it('deletes the tasks that ended long enough ago, of every status, and no other', async () => {
    await storage.createTask({ taskId: 'waits', query: 'test', maxSteps: 1 });
    await createEndedTasks(storage, 'finished', 3);
    await createEndedTasks(storage, 'error', 2);
    await createEndedTasks(storage, 'cancelled', 1);
    await clock.advance(30 * DAY_MS);
    await storage.createTask({ taskId: 'fresh', query: 'test', maxSteps: 1 });
    await storage.updateTask('fresh', { status: 'cancelled' });
    await clock.advance(1);

    const report = await finish(service({}).runOnce());

    expect(report).toEqual({
      outcome: 'completed',
      deletedByStatus: { finished: 3, error: 2, cancelled: 1 },
      limitReached: false,
      dryRun: false,
      durationMs: 0,
    });
    expect(await remaining()).toEqual(['fresh', 'waits']);
    expect(logger.messages('log')).toEqual([
      'Deleted 3 finished, 2 error, 1 cancelled tasks in 0 ms',
    ]);
  });

  it('counts the age of each status by its own days, and keeps what is never deleted', async () => {
    await createEndedTasks(storage, 'finished', 1);
    await createEndedTasks(storage, 'error', 1);
    await createEndedTasks(storage, 'cancelled', 1);
    await clock.advance(2 * DAY_MS);

    await finish(service({ days: 2, daysByStatus: { error: 3, cancelled: -1 } }).runOnce());
    expect(await remaining()).toEqual(['cancelled-0', 'error-0']);

    await clock.advance(1000 * DAY_MS);
    await finish(service({ days: 2, daysByStatus: { error: 3, cancelled: -1 } }).runOnce());
    expect(await remaining()).toEqual(['cancelled-0']);
  });

  it('deletes one status only when the others are never deleted', async () => {
    await createEndedTasks(storage, 'finished', 1);
    await createEndedTasks(storage, 'error', 1);

    await finish(service({ days: -1, daysByStatus: { error: 0 } }).runOnce());

    expect(await remaining()).toEqual(['finished-0']);
  });

  it('deletes in batches, taking the statuses in turn, with a pause between two', async () => {
    await createEndedTasks(storage, 'finished', 5);
    await createEndedTasks(storage, 'error', 3);
    const batches: [unknown, unknown][] = [];
    const recorded = new Proxy(storage, {
      get: (target, key) =>
        key === 'cleanupOldTasks'
          ? async (days: number, options: CleanupOptions) => {
              batches.push([options.statuses?.join(), options.limit]);
              return target.cleanupOldTasks(days, options);
            }
          : Reflect.get(target, key),
    });
    const run = service({ days: 0, batchSize: 2, pauseMs: 100 }, recorded).runOnce();

    await clock.hasTimer();
    expect(batches).toEqual([['finished', 2]]);
    await clock.advance(99);
    expect(batches).toHaveLength(1);
    await clock.advance(1);
    expect(batches).toHaveLength(2);
    await clock.advance(1000);

    expect(batches).toEqual([
      ['finished', 2],
      ['error', 2],
      // No cancelled task was there, so no pause follows.
      ['cancelled', 2],
      ['finished', 2],
      ['error', 2],
      ['finished', 2],
    ]);
    expect(await run).toMatchObject({
      deletedByStatus: { finished: 5, error: 3, cancelled: 0 },
      durationMs: 400,
    });
  });

  it('stops at the limit of a run and says so; the next run goes on', async () => {
    await createEndedTasks(storage, 'finished', 7);
    const cleanup = service({ days: 0, batchSize: 2, maxPerRun: 5 });

    const first = await finish(cleanup.runOnce());
    expect(first).toMatchObject({ deletedByStatus: { finished: 5 }, limitReached: true });
    expect(logger.messages('log').join()).toContain('reached the limit of a run');

    const second = await finish(cleanup.runOnce());
    expect(second).toMatchObject({ deletedByStatus: { finished: 2 }, limitReached: false });
  });

  it('lets a flood of one status not keep the others from their turn', async () => {
    await createEndedTasks(storage, 'finished', 20);
    await createEndedTasks(storage, 'cancelled', 1);

    const report = await finish(service({ days: 0, batchSize: 2, maxPerRun: 6 }).runOnce());

    expect(report.deletedByStatus).toEqual({ finished: 5, error: 0, cancelled: 1 });
  });

  it('only counts in a dry run', async () => {
    await createEndedTasks(storage, 'finished', 5);
    await createEndedTasks(storage, 'error', 1);

    const report = await finish(service({ days: 0, batchSize: 2, dryRun: true }).runOnce());

    expect(report).toMatchObject({
      outcome: 'completed',
      deletedByStatus: { finished: 5, error: 1, cancelled: 0 },
      limitReached: false,
      dryRun: true,
    });
    expect(await remaining()).toHaveLength(6);
    expect(logger.messages('log')).toEqual([
      'Would delete 5 finished, 1 error, 0 cancelled tasks in 0 ms',
    ]);
  });

  it('counts no more in a dry run than a run would delete', async () => {
    await createEndedTasks(storage, 'finished', 5);
    await createEndedTasks(storage, 'error', 1);

    const report = await finish(service({ days: 0, maxPerRun: 4, dryRun: true }).runOnce());

    expect(report).toMatchObject({ deletedByStatus: { finished: 4 }, limitReached: true });
  });

  it('does nothing while another replica cleans up', async () => {
    await createEndedTasks(storage, 'finished', 3);
    const busy = service({ days: 0, batchSize: 1, pauseMs: 100 });
    const other = service({ days: 0 });
    const run = busy.runOnce();
    await clock.hasTimer();

    const skipped = await other.runOnce();
    expect(skipped).toMatchObject({ outcome: 'skipped', deletedByStatus: { finished: 0 } });
    expect(await remaining()).toHaveLength(2);
    expect(logger.messages('debug').join()).toContain('under way already');

    await clock.advance(1000);
    expect((await run).deletedByStatus.finished).toBe(3);
  });

  it('does nothing while a run of its own is under way', async () => {
    await createEndedTasks(storage, 'finished', 3);
    const cleanup = service({ days: 0, batchSize: 1, pauseMs: 100 });
    const run = cleanup.runOnce();
    await clock.hasTimer();

    expect((await cleanup.runOnce()).outcome).toBe('skipped');

    await clock.advance(1000);
    expect((await run).outcome).toBe('completed');
    expect((await cleanup.runOnce()).outcome).toBe('completed');
  });

  it('rejects with the failure of the storage, reports what it had deleted, and runs again', async () => {
    await createEndedTasks(storage, 'finished', 4);
    const faulty = interceptStorage(storage);
    const cleanup = service({ days: 0, batchSize: 1 }, faulty.storage);
    const reports: RetentionReport[] = [];
    cleanup.onReport((report) => reports.push(report));
    const failure = new TaskStorageError('UNAVAILABLE', 'gone');
    let calls = 0;
    faulty.intercept(async (operation) => {
      calls += operation === 'cleanupOldTasks' ? 1 : 0;
      if (calls > 1) {
        throw failure;
      }
    });

    await expect(finish(cleanup.runOnce())).rejects.toBe(failure);
    expect(reports).toMatchObject([{ outcome: 'failed', deletedByStatus: { finished: 1 } }]);
    expect(logger.messages('log').join()).toContain('then the storage failed');

    faulty.intercept(null);
    expect(await finish(cleanup.runOnce())).toMatchObject({ deletedByStatus: { finished: 3 } });
    expect(reports.map((report) => report.outcome)).toEqual(['failed', 'completed']);
  });

  it('ends after its current batch when the application shuts down, and is waited for', async () => {
    await createEndedTasks(storage, 'finished', 3);
    const slow = interceptStorage(storage);
    const batchStarted = createGate();
    const batchMayEnd = createGate();
    slow.intercept(async (operation) => {
      if (operation === 'cleanupOldTasks') {
        batchStarted.open();
        await batchMayEnd.opened;
      }
    });
    const cleanup = service({ days: 0, batchSize: 1, pauseMs: 60_000 }, slow.storage);
    const run = cleanup.runOnce();
    await batchStarted.opened;

    cleanup.onModuleDestroy();
    const order: string[] = [];
    const waited = cleanup.beforeApplicationShutdown().then(() => order.push('wait ended'));
    await clock.advance(60_000);
    expect(order).toEqual([]);
    batchMayEnd.open();
    await waited;

    expect(await run).toMatchObject({ outcome: 'interrupted', deletedByStatus: { finished: 1 } });
    expect(await remaining()).toHaveLength(2);
  });

  it('cuts a pause short when the application shuts down', async () => {
    await createEndedTasks(storage, 'finished', 3);
    const cleanup = service({ days: 0, batchSize: 1, pauseMs: 60_000 });
    const run = cleanup.runOnce();
    await clock.hasTimer();

    cleanup.onModuleDestroy();

    expect(await run).toMatchObject({ outcome: 'interrupted', deletedByStatus: { finished: 1 } });
    expect(clock.timerCount).toBe(0);
  });
});
