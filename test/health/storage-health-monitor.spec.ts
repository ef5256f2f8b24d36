import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { StorageHealthMonitor } from '../../src/health/storage-health-monitor.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TaskStorageError } from '../../src/task/errors.js';
import { createGate } from '../support/gate.js';
import { interceptStorage, type InterceptedStorage } from '../support/intercepted-storage.js';
import { ManualClock } from '../support/manual-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';

describe('StorageHealthMonitor', () => {
  let clock: ManualClock;
  let faulty: InterceptedStorage;
  let monitor: StorageHealthMonitor;
  let logger: RecordingLogger;
  let changes: boolean[];

  beforeEach(() => {
    clock = new ManualClock();
    faulty = interceptStorage(createMemoryTaskStorage());
    monitor = new StorageHealthMonitor(
      faulty.storage,
      { intervalMs: 1000, timeoutMs: 3000 },
      clock,
    );
    logger = new RecordingLogger();
    Logger.overrideLogger(logger);
    changes = [];
    monitor.onChange((isServing) => changes.push(isServing));
  });

  afterEach(() => {
    Logger.overrideLogger(false);
  });

  async function fail(): Promise<void> {
    throw new TaskStorageError('UNAVAILABLE', 'Postgres did not answer: connection refused');
  }

  it('is not serving before the first answer', async () => {
    const answer = createGate();
    faulty.intercept(async () => answer.opened);
    expect(monitor.isServing).toBe(false);

    monitor.onApplicationBootstrap();
    await clock.advance(0);
    expect(monitor.isServing).toBe(false);
    expect(changes).toEqual([]);

    answer.open();
    await clock.advance(0);
    expect(monitor.isServing).toBe(true);
    expect(changes).toEqual([true]);
  });

  it('follows the storage down and up again', async () => {
    monitor.onApplicationBootstrap();
    await clock.advance(0);
    expect(monitor.isServing).toBe(true);

    faulty.intercept(fail);
    await clock.advance(999);
    expect(monitor.isServing).toBe(true);
    await clock.advance(1);
    expect(monitor.isServing).toBe(false);

    faulty.intercept(null);
    await clock.advance(1000);
    expect(monitor.isServing).toBe(true);
    expect(changes).toEqual([true, false, true]);
  });

  it('logs each change once, with the cause', async () => {
    faulty.intercept(fail);
    monitor.onApplicationBootstrap();
    await clock.advance(5000);
    faulty.intercept(null);
    await clock.advance(5000);
    monitor.onModuleDestroy();

    expect(logger.lines).toEqual([
      {
        level: 'error',
        message:
          'NOT_SERVING: The storage does not answer: Postgres did not answer: connection refused',
      },
      { level: 'log', message: 'SERVING: The storage answers (memory)' },
      { level: 'log', message: 'NOT_SERVING: The application shuts down' },
    ]);
  });

  it('counts an answer that takes too long as none, and asks again', async () => {
    monitor.onApplicationBootstrap();
    await clock.advance(0);
    const answer = createGate();
    faulty.intercept(async () => answer.opened);

    await clock.advance(1000 + 2999);
    expect(monitor.isServing).toBe(true);
    await clock.advance(1);
    expect(monitor.isServing).toBe(false);
    expect(logger.messages('error').join()).toContain('it took longer than 3000 ms');

    // The late answer says nothing about now.
    answer.open();
    await clock.advance(0);
    expect(monitor.isServing).toBe(false);
    await clock.advance(1000);
    expect(monitor.isServing).toBe(true);
  });

  it('does not ask a storage that hangs again before it has answered', async () => {
    const answer = createGate();
    let questions = 0;
    faulty.intercept(async () => {
      questions += 1;
      await answer.opened;
    });
    monitor.onApplicationBootstrap();
    await clock.advance(60_000);
    expect(questions).toBe(1);
    expect(monitor.isServing).toBe(false);
    answer.open();
    await clock.advance(1_000);
    expect(questions).toBe(2);
    expect(monitor.isServing).toBe(true);
  });

  it('asks again and again, with one timer', async () => {
    let questions = 0;
    faulty.intercept(async () => {
      questions += 1;
      await fail();
    });
    monitor.onApplicationBootstrap();
    await clock.advance(10_000);
    expect(questions).toBe(11);
    expect(clock.timerCount).toBe(1);
  });

  it('is not serving for good once the application shuts down', async () => {
    monitor.onApplicationBootstrap();
    await clock.advance(0);
    monitor.onModuleDestroy();
    expect(monitor.isServing).toBe(false);
    expect(changes).toEqual([true, false]);
    expect(clock.timerCount).toBe(0);

    await clock.advance(10_000);
    expect(monitor.isServing).toBe(false);
  });

  it('stays not serving when an answer arrives after the shutdown began', async () => {
    const answer = createGate();
    faulty.intercept(async () => answer.opened);
    monitor.onApplicationBootstrap();
    monitor.onModuleDestroy();
    answer.open();
    await clock.advance(10_000);
    expect(monitor.isServing).toBe(false);
    expect(changes).toEqual([]);
    expect(clock.timerCount).toBe(0);
  });
});
