import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { inspect } from 'node:util';
import { DataSource } from 'typeorm';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import { findFreePort, startPostgres, type PostgresServer } from '../support/embedded-postgres.js';
import { eventually } from '../support/eventually.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const newTask = { taskId: 'a', query: 'add 2 and 2', maxSteps: 5 };

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(async () => {
  await database.drop();
});

async function sessionsOf(applicationName: string): Promise<number> {
  const [row] = await database.query<{ sessions: number }>(
    `SELECT COUNT(*)::int AS sessions FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = $1`,
    [applicationName],
  );
  return row?.sessions ?? -1;
}

describe('a connection string', () => {
  it('is opened once and closed with the storage', async () => {
    const storage = await createPostgresTaskStorage({
      connectionString: database.connectionString,
    });
    await storage.createTask(newTask);
    expect(await sessionsOf('nestjs-task-storage')).toBe(1);
    await storage.close();
    await storage.close();
    // The server notices the end of a session a moment later.
    await eventually(
      async () => sessionsOf('nestjs-task-storage'),
      (sessions) => sessions === 0,
    );
    await expect(storage.getTask('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it.each([
    [{}, 'needs a connectionString or a dataSource, for example postgresql://'],
    [{ connectionString: '' }, 'needs a connectionString or a dataSource'],
    [{ connectionString: 'mysql://u:s3cret@h/d' }, 'is not a Postgres URL; write one such as'],
    [{ connectionString: 'postgres://u:s3cret@h:port/d' }, 'is not a Postgres URL'],
  ])('%j is refused with a sentence that says what to write', async (options, sentence) => {
    const error: unknown = await createPostgresTaskStorage(options).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'MISCONFIGURED',
      message: expect.stringContaining(sentence),
    });
    expect(inspect(error, { depth: 10 })).not.toContain('s3cret');
  });

  it('with a wrong password fails at once, and nothing repeats the password', async () => {
    const warnings: string[] = [];
    const error: unknown = await createPostgresTaskStorage({
      connectionString: database.connectionString.replace(':postgres@', ':s3cret-word@'),
      onWarning: (warning) => warnings.push(warning),
    }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'MISCONFIGURED' });
    expect(inspect([error, warnings], { depth: 10 })).not.toContain('s3cret-word');
    expect(warnings).toEqual([]);
  });

  it('to a database that is not up yet is tried until it is, with a warning each time', async () => {
    const port = await findFreePort();
    const warnings: string[] = [];
    let starting: Promise<PostgresServer> | undefined;
    const storage = await createPostgresTaskStorage({
      connectionString: `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`,
      onWarning: (warning) => {
        warnings.push(warning);
        starting ??= startPostgres({ port });
      },
    });
    const server = await starting;
    await storage.ping();
    await storage.close();
    await server?.stop();
    expect(warnings[0]).toMatch(/did not answer.*ECONNREFUSED.*attempt 1.*trying again in 250 ms/);
  });

  it('to a database that does not come up is given up after the configured time', async () => {
    const port = await findFreePort();
    const warnings: string[] = [];
    await expect(
      createPostgresTaskStorage({
        connectionString: `postgresql://u:s3cret@127.0.0.1:${port}/d`,
        connectRetryMs: 300,
        onWarning: (warning) => warnings.push(warning),
      }),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(warnings).toHaveLength(1);
    expect(warnings.join()).not.toContain('s3cret');
  });
});

describe("an application's own data source", () => {
  it('is used and left open', async () => {
    const dataSource = await new DataSource({
      type: 'postgres',
      url: database.connectionString,
      applicationName: 'the-app',
    }).initialize();
    const storage = await createPostgresTaskStorage({ dataSource });
    await storage.createTask(newTask);
    expect(await sessionsOf('nestjs-task-storage')).toBe(0);
    await storage.close();
    expect(dataSource.isInitialized).toBe(true);
    expect(await dataSource.query('SELECT task_id FROM agent_tasks')).toEqual([{ task_id: 'a' }]);
    await dataSource.destroy();
  });

  it('is refused before it is initialized, and beside a connection string', async () => {
    const dataSource = new DataSource({ type: 'postgres', url: database.connectionString });
    await expect(createPostgresTaskStorage({ dataSource })).rejects.toThrow(
      'dataSource is not initialized; await its initialize() first',
    );
    await expect(
      createPostgresTaskStorage({ dataSource, connectionString: database.connectionString }),
    ).rejects.toThrow('connectionString and dataSource exclude each other; give one of them');
  });

  it('is refused when it is something else', async () => {
    const dataSource = { isInitialized: true, options: { type: 'postgres' } };
    await expect(createPostgresTaskStorage({ dataSource })).rejects.toThrow(
      'dataSource is not a DataSource of the installed typeorm',
    );
  });
});

describe('a database that goes away', () => {
  let proxy: TcpProxy;

  beforeEach(async () => {
    proxy = await startTcpProxy(Number(new URL(database.connectionString).port));
  });

  afterEach(async () => {
    await proxy.close();
  });

  it('is said to be unavailable, and is used again when it is back', async () => {
    const url = new URL(database.connectionString);
    url.port = String(proxy.port);
    const storage = await createPostgresTaskStorage({ connectionString: url.href });
    await storage.createTask(newTask);
    proxy.cut();
    await expect(storage.getTask('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(storage.ping()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    proxy.restore();
    expect(await storage.getTask('a')).toMatchObject({ taskId: 'a' });
    await storage.close();
  });

  it('takes its sessions along without harming the process', async () => {
    const warnings: string[] = [];
    const storage = await createPostgresTaskStorage({
      connectionString: database.connectionString,
      onWarning: (warning) => warnings.push(warning),
    });
    await storage.createTask(newTask);
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'nestjs-task-storage' AND datname = current_database()`,
    );
    const answer = await storage.getTask('a').catch((error: unknown) => error);
    expect(answer).toEqual(
      expect.objectContaining(answer instanceof Error ? { code: 'UNAVAILABLE' } : { taskId: 'a' }),
    );
    expect(await storage.getTask('a')).toMatchObject({ taskId: 'a' });
    await storage.close();
  });
});
