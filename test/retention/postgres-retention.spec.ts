import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { toRetentionPlan } from '../../src/retention/retention-options.js';
import { TaskCleanupService } from '../../src/retention/task-cleanup.service.js';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import { systemClock } from '../../src/task/clock.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { createEndedTasks } from '../support/ended-tasks.js';
import { createGate } from '../support/gate.js';
import { interceptStorage } from '../support/intercepted-storage.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

describe('TaskCleanupService on Postgres', () => {
  let database: TestDatabase;
  let replicas: [TaskStorage, TaskStorage];

  beforeEach(async () => {
    Logger.overrideLogger(new RecordingLogger());
    database = await createTestDatabase();
    const { connectionString } = database;
    replicas = [
      await createPostgresTaskStorage({ connectionString }),
      await createPostgresTaskStorage({ connectionString }),
    ];
  });

  afterEach(async () => {
    await Promise.all(replicas.map(async (storage) => storage.close()));
    await database.drop();
    Logger.overrideLogger(false);
  });

  it('deletes by age, counted from the end, in batches that each commit', async () => {
    const [storage] = replicas;
    await createEndedTasks(storage, 'finished', 5);
    await createEndedTasks(storage, 'error', 2);
    await storage.createTask({ taskId: 'active', query: 'test', maxSteps: 1 });
    await database.query(
      "UPDATE agent_tasks SET finished_at = now() - interval '31 days' WHERE task_id <> 'error-0'",
    );
    await database.query(
      "UPDATE agent_tasks SET finished_at = NULL, created_at = now() - interval '99 days' WHERE task_id = 'active'",
    );
    const plan = toRetentionPlan({ batchSize: 2, pauseMs: 0 });

    const report = await new TaskCleanupService(storage, plan, systemClock).runOnce();

    expect(report).toMatchObject({
      outcome: 'completed',
      deletedByStatus: { finished: 5, error: 1, cancelled: 0 },
    });
    const { tasks } = await storage.listTasks();
    expect(tasks.map((task) => task.taskId).sort()).toEqual(['active', 'error-0']);
  });

  it('lets one replica clean up at a time, and the other one later', async () => {
    const [first, second] = replicas;
    await createEndedTasks(first, 'finished', 3);
    const plan = toRetentionPlan({ days: 0, pauseMs: 0 });
    const slow = interceptStorage(first);
    const batchStarted = createGate();
    const batchMayEnd = createGate();
    slow.intercept(async (operation) => {
      if (operation === 'cleanupOldTasks') {
        batchStarted.open();
        await batchMayEnd.opened;
      }
    });
    const run = new TaskCleanupService(slow.storage, plan, systemClock).runOnce();
    await batchStarted.opened;

    const other = new TaskCleanupService(second, plan, systemClock);
    expect(await other.runOnce()).toMatchObject({ outcome: 'skipped' });

    batchMayEnd.open();
    expect(await run).toMatchObject({ deletedByStatus: { finished: 3 } });
    expect(await other.runOnce()).toMatchObject({ outcome: 'completed' });
  });
});
