import { EventEmitter, once } from 'node:events';
import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { StorageHealthMonitor } from '../../src/health/storage-health-monitor.js';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import { systemClock } from '../../src/task/clock.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

describe('StorageHealthMonitor on Postgres', () => {
  let database: TestDatabase;
  let storage: TaskStorage;
  let admin: pg.Client;

  beforeEach(async () => {
    Logger.overrideLogger(new RecordingLogger());
    database = await createTestDatabase();
    storage = await createPostgresTaskStorage({ connectionString: database.connectionString });
    const serverUrl = new URL(database.connectionString);
    serverUrl.pathname = '/postgres';
    admin = new pg.Client({ connectionString: serverUrl.href });
    await admin.connect();
  });

  afterEach(async () => {
    await storage.close();
    await admin.end();
    await database.drop();
    Logger.overrideLogger(false);
  });

  it('follows a database that drops its connections and refuses new ones, and comes back', async () => {
    const name = new URL(database.connectionString).pathname.slice(1);
    const monitor = new StorageHealthMonitor(
      storage,
      { intervalMs: 20, timeoutMs: 10_000 },
      systemClock,
    );
    const events = new EventEmitter();
    monitor.onChange((isServing) => events.emit(isServing ? 'up' : 'down'));

    const up = once(events, 'up');
    monitor.onApplicationBootstrap();
    await up;

    const down = once(events, 'down');
    await admin.query(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS false`);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [
      name,
    ]);
    await down;
    expect(monitor.isServing).toBe(false);

    const upAgain = once(events, 'up');
    await admin.query(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS true`);
    await upAgain;
    expect(monitor.isServing).toBe(true);
    monitor.onModuleDestroy();
  });
});
