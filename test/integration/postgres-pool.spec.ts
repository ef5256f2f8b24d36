import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import { PostgresConnection } from '../../src/storage/typeorm/postgres-connection.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
let line: TcpProxy;
let storage: TaskStorage;
/** Whether to keep what is sent from when a new connection is asked whether its server takes writes. */
let isArmed: boolean;

beforeEach(async () => {
  database = await createTestDatabase();
  const url = new URL(database.connectionString);
  line = await startTcpProxy(Number(url.port));
  url.port = String(line.port);
  isArmed = false;
  line.swallowAnswers(() => (bytes) => {
    if (isArmed && bytes.includes('transaction_read_only')) {
      isArmed = false;
      line.pause();
    }
    return false;
  });
  storage = await createPostgresTaskStorage({
    connectionString: url.href,
    // One that listens for changes, and two.
    poolSize: 3,
    connectTimeoutMs: 1_000,
  });
});

afterEach(async () => {
  await storage.close();
  await line.close();
  await database.drop();
});

/** Keeps a connection until it is lost. */
async function takeUntilLost(name: string): Promise<{ readonly end: Promise<unknown> }> {
  return new Promise((resolve) => {
    const end = storage
      .runExclusively(name, async (lost) => {
        const ended = new Promise((isLost) => lost.addEventListener('abort', isLost));
        resolve({ end });
        return ended;
      })
      .catch(() => undefined);
  });
}

it('gives a connection back that is made when nobody waits for it any more', async () => {
  const taken = [await takeUntilLost('a'), await takeUntilLost('b')];
  const waiting = storage.listTasks({}).catch((error: unknown) => error);
  isArmed = true;
  await database.query(
    `SELECT pg_terminate_backend(pid) FROM pg_locks
     WHERE locktype = 'advisory' AND database =
       (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  expect(await waiting).toMatchObject({ code: 'UNAVAILABLE' });
  // It was asked.
  expect(isArmed).toBe(false);
  line.restore();
  await Promise.all(taken.map(async ({ end }) => end));
  // Both connections that do not listen can be used at the same time.
  const both = await storage.runExclusively('c', async () =>
    storage.runExclusively('d', async () => 'both'),
  );
  expect(both).toEqual({ ran: true, value: { ran: true, value: 'both' } });
});

it('closes though the pool was ended by somebody else', async () => {
  const dataSource = await new DataSource({
    type: 'postgres',
    url: database.connectionString,
  }).initialize();
  const pool: unknown = Reflect.get(dataSource.driver, 'master');
  if (typeof pool !== 'object' || pool === null || !('end' in pool)) {
    throw new Error('The data source has no pool');
  }
  const { end } = pool;
  await (typeof end === 'function' ? Reflect.apply(end, pool, []) : null);
  await expect(new PostgresConnection(dataSource, true).close()).resolves.toBeUndefined();
});
