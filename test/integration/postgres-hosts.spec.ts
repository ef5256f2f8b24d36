import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { startPostgres, type PostgresServer } from '../support/embedded-postgres.js';
import { eventually } from '../support/eventually.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const newTask = { taskId: 'a', query: 'add 2 and 2', maxSteps: 5 };

let readOnlyServer: PostgresServer;
let database: TestDatabase;
let lines: [TcpProxy, TcpProxy];
let opened: TaskStorage[];

beforeAll(async () => {
  // Like a standby it answers, and takes no writes.
  readOnlyServer = await startPostgres({ settings: { default_transaction_read_only: 'on' } });
});

afterAll(async () => readOnlyServer.stop());

beforeEach(async () => {
  database = await createTestDatabase();
  const port = Number(new URL(database.connectionString).port);
  lines = [await startTcpProxy(port), await startTcpProxy(port)];
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map(async (storage) => storage.close()));
  await Promise.all(lines.map(async (line) => line.close()));
  await database.drop();
});

function connectionString(...ports: readonly number[]): string {
  const { pathname } = new URL(database.connectionString);
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  return `postgresql://postgres:postgres@${hosts}${pathname}`;
}

async function open(...ports: readonly number[]): Promise<TaskStorage> {
  const storage = await createPostgresTaskStorage({
    connectionString: connectionString(...ports),
    connectTimeoutMs: 1_500,
    connectRetryMs: 0,
  });
  opened.push(storage);
  return storage;
}

const portOf = (server: PostgresServer): number => Number(new URL(server.url).port);

/** A database of the same name, which takes no writes. */
async function createReadOnlyDatabase(): Promise<void> {
  const writable = readOnlyServer.url.replace('?', '');
  const name = new URL(database.connectionString).pathname.slice(1);
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    connectionString: `${writable}/postgres`,
    options: '-c default_transaction_read_only=off',
  });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
}

it('uses the host of a list that takes writes, whichever it is, and names them all', async () => {
  await createReadOnlyDatabase();
  const [line] = lines;
  const storage = await open(portOf(readOnlyServer), line.port);
  expect(await storage.createTask(newTask)).toBe(true);
  expect(await database.query('SELECT task_id FROM agent_tasks')).toEqual([{ task_id: 'a' }]);
  const { pathname } = new URL(database.connectionString);
  expect(storage.description).toBe(
    `postgres at 127.0.0.1:${portOf(readOnlyServer)},127.0.0.1:${line.port}${pathname}, table public.agent_tasks`,
  );
});

it('does not wait for a host that has vanished without a word', async () => {
  const [vanished, line] = lines;
  vanished.blackHole();
  const storage = await open(vanished.port, line.port);
  expect(await storage.createTask(newTask)).toBe(true);
});

it('goes to the other host when the first is lost, with what it listens to as well', async () => {
  const [first, second] = lines;
  second.cut();
  const storage = await open(first.port, second.port);
  const other = await createPostgresTaskStorage({ connectionString: database.connectionString });
  opened.push(other);
  await storage.createTask(newTask);
  first.cut();
  await expect(storage.getTask('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  second.restore();
  await eventually(
    async () => storage.getTask('a').catch((error: unknown) => error),
    (answer) => !(answer instanceof Error),
  );
  expect(await storage.getTask('a')).toMatchObject({ taskId: 'a' });
  await eventually(
    () => storage.changes.isLive,
    (isLive) => isLive,
  );
  const heard: string[] = [];
  storage.changes.listen(({ kind }) => heard.push(kind));
  await other.updateTask('a', { status: 'running' });
  await other.updateTask('a', { status: 'finished' });
  await eventually(
    () => heard,
    (kinds) => kinds.includes('ended'),
  );
});

it('is unavailable when no host takes writes, and says what each of them said', async () => {
  await createReadOnlyDatabase();
  const [line] = lines;
  line.cut();
  const failure: unknown = await open(line.port, portOf(readOnlyServer)).catch(
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ code: 'UNAVAILABLE' });
  const { message } = failure as Error;
  expect(message).toMatch(
    new RegExp(
      `No host of the connection string takes writes \\(127\\.0\\.0\\.1:${line.port}: Postgres did not answer: .+; ` +
        `127\\.0\\.0\\.1:${portOf(readOnlyServer)}: Postgres takes no writes: it is read-only; is it a standby\\?\\)`,
    ),
  );
  expect(message).not.toContain('postgres:postgres');
});

it('is for the operator when every host refuses the password', async () => {
  const ports = lines.map(({ port }) => port);
  const failure: unknown = await createPostgresTaskStorage({
    connectionString: connectionString(...ports).replace(':postgres@', ':s3cret-word@'),
  }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'MISCONFIGURED' });
  expect(String(failure)).not.toContain('s3cret-word');
});

it('does not open on a single host that is a standby', async () => {
  await createReadOnlyDatabase();
  await expect(open(portOf(readOnlyServer))).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('takes no writes: it is read-only; is it a standby?'),
  });
});

it('connects to hosts that are slow, within the whole time-out', async () => {
  const [first, second] = lines;
  const storage = await open(first.port, second.port);
  lines.forEach((line) => line.slowDown({ delayMs: 160 }));
  lines.forEach((line) => line.reset());
  // What is left in the pool says once that it is lost.
  await eventually(
    async () => storage.ping().catch((error: unknown) => error),
    (answer) => answer === undefined,
  );
});

describe('a password file', () => {
  const { PGPASSFILE } = process.env;
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'password-file-'));
  });

  afterEach(async () => {
    process.env['PGPASSFILE'] = PGPASSFILE ?? '';
    await rm(folder, { recursive: true });
  });

  it('gives the password of the host that takes writes', async () => {
    const [first, second] = lines;
    first.cut();
    process.env['PGPASSFILE'] = join(folder, 'passwords');
    await writeFile(
      process.env['PGPASSFILE'],
      `127.0.0.1:${first.port}:*:postgres:of-another-host\n127.0.0.1:${second.port}:*:postgres:postgres\n`,
      { mode: 0o600 },
    );
    const hosts = connectionString(first.port, second.port).replace(':postgres@', '@');
    const storage = await createPostgresTaskStorage({ connectionString: hosts, connectRetryMs: 0 });
    opened.push(storage);
    expect(await storage.createTask(newTask)).toBe(true);
  });
});
