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
    // One that listens for changes, and no more than two for what opening and creating do at once.
    expect([2, 3]).toContain(await sessionsOf('nestjs-task-storage'));
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
    [{ connectionString: 'postgres://u:s3cret@h1:1,h2:port/d' }, 'is empty or wrong, or a host'],
    [
      { connectionString: 'postgres://u:s3cret@h1:1,/d' },
      'list of hosts with one that is empty or wrong',
    ],
    [
      { connectionString: 'postgres://u:s3cret@h1,h2/d?host=h3' },
      'or a host parameter beside it; write one such as postgresql://',
    ],
    [
      { connectionString: 'postgres://u:s3cret@h/d?host=h1,h2&port=1,2' },
      'has several hosts or ports in its parameters; write them before the database, such as postgresql://',
    ],
    [{ connectionString: 'postgres://u:s3cret%@h/d' }, 'percent-encode the user and the password'],
    [
      { connectionString: 'postgres://u:s3cret@h/d', migrations: JSON.parse('"manuel"') },
      'migrations is "manuel"; write auto or manual',
    ],
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
        connectRetryMs: 700,
        onWarning: (warning) => warnings.push(warning),
      }),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(warnings).toHaveLength(1);
    expect(warnings.join()).not.toContain('s3cret');
  });
});

describe('what could wait for ever', () => {
  it('is bounded: a lock that somebody else holds', async () => {
    const storage = await createPostgresTaskStorage({
      connectionString: database.connectionString,
      lockTimeoutMs: 50,
    });
    await storage.createTask(newTask);
    await database.query('BEGIN; SELECT * FROM agent_tasks FOR UPDATE');
    await expect(storage.updateTask('a', { query: 'b' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('lock timeout'),
    });
    await storage.close();
  });

  it('is bounded: a migration that another process is at', async () => {
    const first = await createPostgresTaskStorage({ connectionString: database.connectionString });
    await database.query('DELETE FROM agent_tasks_migrations WHERE name LIKE $1', ['%Indexes%']);
    await database.query(
      `SELECT pg_advisory_lock(hashtextextended('nestjs-task-storage:public.agent_tasks:migrate', 0))`,
    );
    await expect(
      createPostgresTaskStorage({
        connectionString: database.connectionString,
        lockTimeoutMs: 50,
        connectRetryMs: 0,
      }),
    ).rejects.toThrow('another process migrates or uses the tables; start again when it is done');
    await first.close();
  });

  it('is ended by closing, after what is under way', async () => {
    const storage = await createPostgresTaskStorage({
      connectionString: database.connectionString,
    });
    await storage.createTask(newTask);
    const underWay = Array.from({ length: 20 }, async (_, index) =>
      storage.createTask({ ...newTask, taskId: `task-${index}` }, { maxActiveTasks: 100 }),
    );
    await storage.close();
    expect(await Promise.all(underWay)).toEqual(Array(20).fill(true));
  });
});

describe('a database that takes no writes', () => {
  it('is unavailable, to a ping too, and is used again when it does', async () => {
    const storage = await createPostgresTaskStorage({
      connectionString: database.connectionString,
    });
    await storage.createTask(newTask);
    const name = new URL(database.connectionString).pathname.slice(1);
    const endSessions = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'nestjs-task-storage' AND datname = current_database()`;
    await database.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    await database.query(endSessions);
    await eventually(
      async () => storage.updateTask('a', { query: 'b' }).catch((error: unknown) => error),
      (answer) => answer instanceof Error && answer.message.includes('read-only'),
    );
    // What a standby does not know may exist all the same.
    await expect(storage.getTask('unknown')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(storage.ping()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'Postgres takes no writes: it is read-only; is it a standby?',
    });
    await database.query(
      `BEGIN; SET TRANSACTION READ WRITE; ALTER DATABASE ${name} RESET default_transaction_read_only; COMMIT`,
    );
    // Each read-only session is thrown away when it says so, until a new one is opened.
    await eventually(
      async () => storage.ping().catch((error: unknown) => error),
      (answer) => answer === undefined,
    );
    expect(await storage.updateTask('a', { query: 'b' })).toBe(true);
    await storage.close();
  });

  it('admits no more than the limit, whatever its default isolation level', async () => {
    const name = new URL(database.connectionString).pathname.slice(1);
    await database.query(
      `ALTER DATABASE ${name} SET default_transaction_isolation = 'repeatable read'`,
    );
    const storage = await createPostgresTaskStorage({
      connectionString: database.connectionString,
    });
    const answers = await Promise.allSettled(
      Array.from({ length: 40 }, async (_, index) =>
        storage.createTask({ ...newTask, taskId: `task-${index}` }, { maxActiveTasks: 5 }),
      ),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    expect(await storage.countActiveTasks()).toBe(5);
    await storage.close();
  });
});

it('gives its connections back when it cannot be opened', async () => {
  const first = await createPostgresTaskStorage({ connectionString: database.connectionString });
  await first.close();
  await database.query(
    `INSERT INTO agent_tasks_migrations (timestamp, name) VALUES (2, 'FromTheFuture2')`,
  );
  await expect(
    createPostgresTaskStorage({ connectionString: database.connectionString }),
  ).rejects.toMatchObject({ code: 'MISCONFIGURED' });
  await eventually(
    async () => sessionsOf('nestjs-task-storage'),
    (sessions) => sessions === 0,
  );
});

it('tells who holds work exclusively that its connection is lost', async () => {
  const storage = await createPostgresTaskStorage({ connectionString: database.connectionString });
  const result = await storage.runExclusively('work', async (lost) => {
    const aborted = new Promise((resolve) => lost.addEventListener('abort', resolve));
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_locks
       WHERE locktype = 'advisory' AND database =
         (SELECT oid FROM pg_database WHERE datname = current_database())`,
    );
    await aborted;
    return storage.runExclusively('work', async () => 'taken again');
  });
  expect(result).toEqual({ ran: true, value: { ran: true, value: 'taken again' } });
  await storage.close();
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

  it('lets an application destroy its data source first', async () => {
    const dataSource = await new DataSource({
      type: 'postgres',
      url: database.connectionString,
    }).initialize();
    const storage = await createPostgresTaskStorage({ dataSource });
    await eventually(
      async () => storage.changes.isLive,
      (isLive) => isLive,
    );
    await dataSource.destroy();
    await expect(storage.getTask('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await storage.close();
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

  it('is refused with options that it has decided itself, and with too small a pool', async () => {
    const dataSource = await new DataSource({
      type: 'postgres',
      url: database.connectionString,
      poolSize: 2,
    }).initialize();
    await expect(createPostgresTaskStorage({ dataSource, lockTimeoutMs: 5 })).rejects.toThrow(
      'lockTimeoutMs is decided by the dataSource; leave it out',
    );
    await expect(createPostgresTaskStorage({ dataSource })).rejects.toThrow(
      'dataSource has a pool of 2 connections; give it at least 3',
    );
    await dataSource.destroy();
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
    // What a standby does not know may exist all the same.
    await expect(storage.getTask('unknown')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
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
    // Opening has left more than one session in the pool, and each is noticed to be gone by itself.
    await eventually(
      async () => storage.getTask('a').catch(() => null),
      (task) => task?.taskId === 'a',
    );
    await storage.close();
  });
});
