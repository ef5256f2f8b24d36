import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ConfigurationError } from '../../src/config/configuration-error.js';
import type { RetentionReport } from '../../src/retention/retention-report.js';
import { RETENTION_JOB_NAME } from '../../src/retention/retention-scheduler.js';
import { RetentionModule } from '../../src/retention/retention.module.js';
import { TaskCleanupService } from '../../src/retention/task-cleanup.service.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TASK_STORAGE, type TaskStorage } from '../../src/task/task-storage.js';
import { TaskStorageError } from '../../src/task/errors.js';
import { createEndedTasks } from '../support/ended-tasks.js';
import { createGate } from '../support/gate.js';
import { globalConfig } from '../support/global-config.js';
import { globalStorage } from '../support/global-storage.js';
import { interceptStorage } from '../support/intercepted-storage.js';
import { RecordingLogger } from '../support/recording-logger.js';

describe('RetentionModule', () => {
  let app: INestApplicationContext | undefined;
  const logger = new RecordingLogger();

  afterEach(async () => {
    await app?.close();
    app = undefined;
    logger.lines.length = 0;
  });

  async function start(
    retention: DynamicModule | Promise<DynamicModule>,
    storage: TaskStorage = createMemoryTaskStorage(),
  ): Promise<INestApplicationContext> {
    const module = await Test.createTestingModule({
      imports: [globalConfig(), globalStorage(storage), ScheduleModule.forRoot(), retention],
    })
      .setLogger(logger)
      .compile();
    app = await module.init();
    return app;
  }

  /** Resolves with the next report of a run. */
  async function nextReport(context: INestApplicationContext): Promise<RetentionReport> {
    return new Promise((resolve) => {
      context.get(TaskCleanupService).onReport(resolve);
    });
  }

  it('runs when the cron expression says so', async () => {
    const storage = createMemoryTaskStorage();
    await createEndedTasks(storage, 'finished', 3);
    const context = await start(RetentionModule.forRoot({ cron: '* * * * * *', days: 0 }), storage);

    expect(await nextReport(context)).toMatchObject({ deletedByStatus: { finished: 3 } });
  });

  it('names its job in the registry of the scheduler', async () => {
    const context = await start(RetentionModule.forRoot({ cron: '30 4 * * *' }));

    const job = context.get(SchedulerRegistry).getCronJob(RETENTION_JOB_NAME);

    expect(job.isActive).toBe(true);
    expect(job.nextDate().toFormat('HH:mm')).toBe('04:30');
    expect(logger.messages('log')).toContain(
      'Deletes ended tasks (finished after 30 days, error after 30 days, cancelled after 30 days) at "30 4 * * *"',
    );
  });

  it('schedules nothing when tasks are kept for ever', async () => {
    const context = await start(RetentionModule.forRoot({ days: -1 }));

    expect(context.get(SchedulerRegistry).getCronJob(RETENTION_JOB_NAME).isActive).toBe(false);
    expect(logger.messages('log')).toContain('Ended tasks are kept for ever');
  });

  it('logs a run that fails with the cause, and the next one happens', async () => {
    const faulty = interceptStorage(createMemoryTaskStorage());
    await createEndedTasks(faulty.storage, 'finished', 1);
    const context = await start(
      RetentionModule.forRoot({ cron: '0 0 1 1 *', days: 0 }),
      faulty.storage,
    );
    const job = context.get(SchedulerRegistry).getCronJob(RETENTION_JOB_NAME);
    faulty.intercept(async () => {
      throw new TaskStorageError('UNAVAILABLE', 'Postgres did not answer: connection refused');
    });

    const failed = nextReport(context);
    await job.fireOnTick();
    expect(await failed).toMatchObject({ outcome: 'failed' });
    expect(job.isActive).toBe(true);

    faulty.intercept(null);
    const succeeded = nextReport(context);
    await job.fireOnTick();
    expect(await succeeded).toMatchObject({ deletedByStatus: { finished: 1 } });
    expect(logger.messages('error')).toEqual([
      expect.stringMatching(
        /^The retention run failed; the next one is at .*: Postgres did not answer: connection refused$/,
      ),
    ]);
  });

  it('stops the job first and waits for a run before the storage may close', async () => {
    const slow = interceptStorage(createMemoryTaskStorage());
    await createEndedTasks(slow.storage, 'finished', 2);
    const context = await start(
      RetentionModule.forRoot({ cron: '0 0 1 1 *', days: 0, batchSize: 1, pauseMs: 60_000 }),
      slow.storage,
    );
    const job = context.get(SchedulerRegistry).getCronJob(RETENTION_JOB_NAME);
    const batchStarted = createGate();
    const batchMayEnd = createGate();
    slow.intercept(async (operation) => {
      if (operation === 'cleanupOldTasks') {
        batchStarted.open();
        await batchMayEnd.opened;
      }
    });
    const reports: RetentionReport[] = [];
    context.get(TaskCleanupService).onReport((report) => reports.push(report));
    await job.fireOnTick();
    await batchStarted.opened;

    const closed = context.close();
    while (job.isActive) {
      await nextTurn();
    }
    batchMayEnd.open();
    await closed;

    expect(reports).toMatchObject([{ outcome: 'interrupted', deletedByStatus: { finished: 1 } }]);
    app = undefined;
  });

  it('reads the environment through ConfigService without arguments', async () => {
    process.env['TASK_RETENTION_CRON'] = '15 3 * * *';
    try {
      const context = await start(RetentionModule.forRootAsync());
      const job = context.get(SchedulerRegistry).getCronJob(RETENTION_JOB_NAME);
      expect(job.nextDate().toFormat('HH:mm')).toBe('03:15');
    } finally {
      delete process.env['TASK_RETENTION_CRON'];
    }
  });

  it('does not start with a wrong variable, naming it', async () => {
    process.env['TASK_RETENTION_CRON'] = 'daily';
    try {
      await expect(start(RetentionModule.forRootAsync())).rejects.toThrow(
        'TASK_RETENTION_CRON is "daily"; write a cron expression such as "0 * * * *"',
      );
    } finally {
      delete process.env['TASK_RETENTION_CRON'];
    }
  });

  it('takes its options from a factory of the application', async () => {
    const context = await start(
      RetentionModule.forRootAsync({
        inject: [TASK_STORAGE],
        useFactory: (storage: TaskStorage) => ({
          cron: storage.description === 'memory' ? '45 5 * * *' : 'wrong',
        }),
      }),
    );
    const job = context.get(SchedulerRegistry).getCronJob(RETENTION_JOB_NAME);
    expect(job.nextDate().toFormat('HH:mm')).toBe('05:45');
  });

  it('says what to import when the application has no scheduler', async () => {
    const compiled = Test.createTestingModule({
      imports: [globalStorage(createMemoryTaskStorage()), RetentionModule.forRoot()],
    })
      .setLogger(logger)
      .compile();
    await expect(compiled).rejects.toThrow(ConfigurationError);
    await expect(compiled).rejects.toThrow('add ScheduleModule.forRoot() of @nestjs/schedule');
  });
});
