import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresTaskStorageOptions } from '../../src/storage/typeorm/index.js';
import { ChangeListener } from '../../src/storage/typeorm/change-listener.js';
import { ChangeNotifier } from '../../src/storage/typeorm/change-notifier.js';
import { packPayloads, readPayload } from '../../src/storage/typeorm/change-payload.js';
import { showListening } from '../../src/storage/typeorm/other-listeners.js';
import {
  PostgresConnection,
  type PostgresSession,
} from '../../src/storage/typeorm/postgres-connection.js';
import { ASK_READ_ONLY } from '../../src/storage/typeorm/writable-host.js';
import { SchemaNames } from '../../src/storage/typeorm/schema-names.js';
import type { TaskChange } from '../../src/task/task-change.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { eventually } from '../support/eventually.js';
import { createGate } from '../support/gate.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const HOUR_MS = 3_600_000;
const MISSED = { kind: 'missed', taskId: '' };
const CHANNEL = new SchemaNames('public', 'agent_tasks').channel;

const postgres = usePostgresStorages();
const { open } = postgres;

async function isLive(storage: TaskStorage, expected = true): Promise<void> {
  await eventually(
    () => storage.changes.isLive,
    (live) => live === expected,
  );
}

async function openLive(options: PostgresTaskStorageOptions = {}): Promise<TaskStorage> {
  const storage = await open(options);
  await isLive(storage);
  return storage;
}

/** What a storage hints at, from now on. */
function record(storage: TaskStorage): TaskChange[] {
  const changes: TaskChange[] = [];
  storage.changes.listen((change) => changes.push(change));
  return changes;
}

function newTask(taskId: string) {
  return { taskId, query: 'add 2 and 2', maxSteps: 5 };
}

/** A session that counts the notifications on the channel of the tables. */
async function listenDirectly(): Promise<{ payloads: string[]; end: () => Promise<void> }> {
  const client = new pg.Client({ connectionString: postgres.database.connectionString });
  const payloads: string[] = [];
  client.on('notification', ({ payload }) => payloads.push(payload ?? ''));
  await client.connect();
  await client.query(`LISTEN ${CHANNEL}`);
  // Without it nobody is told.
  await client.query(showListening(`nestjs-task-storage:${CHANNEL}:listens`).text, [
    `nestjs-task-storage:${CHANNEL}:listens`,
  ]);
  return { payloads, end: async () => client.end() };
}

async function notify(payload: string): Promise<void> {
  await postgres.database.query('SELECT pg_notify($1, $2)', [CHANNEL, payload]);
}

async function endListeningSessions(): Promise<void> {
  const ended = await postgres.database.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock_shared%' AND pid <> pg_backend_pid()`,
  );
  expect(ended).toHaveLength(1);
}

/** Everything that gives a hint, in an order of which each hint is the next. */
const CHANGES: [what: string, change: (storage: TaskStorage) => Promise<unknown>, TaskChange][] = [
  [
    'creating a task',
    async (storage) => storage.createTask(newTask('a')),
    { kind: 'written', taskId: 'a' },
  ],
  [
    'queueing a task',
    async (storage) => storage.createTask(newTask('b'), { queue: true }),
    { kind: 'queued', taskId: 'b' },
  ],
  [
    'starting a task',
    async (storage) => storage.updateTask('a', { status: 'running' }),
    { kind: 'written', taskId: 'a' },
  ],
  [
    'appending events, as the tenant',
    async (storage) =>
      storage.forTenant('default').appendEvents('a', [{ stage: 'working', message: '' }]),
    { kind: 'written', taskId: 'a' },
  ],
  [
    'ending a task',
    async (storage) => storage.updateTask('a', { status: 'finished' }),
    { kind: 'ended', taskId: 'a' },
  ],
  ['deleting a task', async (storage) => storage.deleteTask('a'), { kind: 'ended', taskId: 'a' }],
  [
    'claiming from the queue',
    async (storage) => storage.leases.claimQueued({ owner: 'me', leaseMs: 1, limit: 1 }),
    { kind: 'written', taskId: 'b' },
  ],
  [
    'claiming what has expired',
    async (storage) => storage.leases.claimExpired({ owner: 'other', leaseMs: HOUR_MS, limit: 1 }),
    { kind: 'written', taskId: 'b' },
  ],
  [
    'cancelling a task',
    async (storage) => storage.updateTask('b', { status: 'cancelled' }),
    { kind: 'ended', taskId: 'b' },
  ],
  ['cleaning up', async (storage) => storage.cleanupOldTasks(0), { kind: 'missed', taskId: '' }],
];

describe('hints', () => {
  it('of every change reach this storage and another one, each once', async () => {
    const storage = await openLive();
    const other = await openLive();
    const own = record(storage);
    const others = record(other);
    for (const [index, [what, change, hint]] of CHANGES.entries()) {
      await change(storage);
      // A repeated one would be the next, and be taken for it.
      await eventually(
        () => [own.length, others.length],
        ([a, b]) => a === index + 1 && b === index + 1,
      );
      expect([what, own[index], others[index]]).toEqual([what, hint, hint]);
    }
  });

  it('are not given for what changed nothing', async () => {
    const storage = await openLive();
    await storage.createTask(newTask('a'));
    const changes = record(storage);
    await storage.createTask(newTask('a'));
    await storage.createTask(newTask('b'), { maxActiveTasks: 1 }).catch(() => undefined);
    await storage.updateTask('a', { status: 'finished' }).catch(() => undefined);
    await storage.updateTask('none', { query: 'q' });
    await storage.deleteTask('none');
    await storage.cleanupOldTasks(1);
    await storage.leases.renew({ owner: 'me', leaseMs: 1 });
    await storage.updateTask('a', { query: 'the last' });
    await eventually(
      () => changes.length,
      (count) => count > 0,
    );
    expect(changes).toEqual([
      // Of the creation before the recording began, unless it was given by then.
      ...changes.slice(0, -1).map(() => ({ kind: 'written', taskId: 'a' })),
      { kind: 'written', taskId: 'a' },
    ]);
    expect(changes.length).toBeLessThanOrEqual(2);
  });

  it('come after the operation, and not to one who has stopped listening', async () => {
    const storage = await openLive();
    const seen: string[] = [];
    storage.changes.listen(() => seen.push('hint'));
    const stop = storage.changes.listen(() => seen.push('hint to one who stopped'));
    await storage.createTask(newTask('a'));
    seen.push('created');
    stop();
    await eventually(
      () => seen.length,
      (count) => count === 2,
    );
    expect(seen).toEqual(['created', 'hint']);
  });

  it('reach every listener, whatever another one throws', async () => {
    const storage = await openLive();
    storage.changes.listen(() => {
      throw new Error('A listener failed');
    });
    const changes = record(storage);
    await storage.createTask(newTask('a'));
    await eventually(
      () => changes,
      ([change]) => change?.taskId === 'a',
    );
  });

  it('of another table do not arrive', async () => {
    const storage = await openLive();
    const other = await openLive({ table: 'others' });
    const changes = record(storage);
    await other.createTask(newTask('theirs'));
    await (await openLive()).createTask(newTask('ours'));
    await eventually(
      () => changes,
      (all) => all.length > 0,
    );
    expect(changes).toEqual([{ kind: 'written', taskId: 'ours' }]);
  });

  it.each(['', 'nonsense', '{}', '[1]', '["x", 1]', '["x", "?a"]', '["x", "w"]', '["x", "ma"]'])(
    'that cannot be read (%s) count as missed',
    async (payload) => {
      const storage = await openLive();
      const changes = record(storage);
      await notify(payload);
      await eventually(
        () => changes,
        (all) => all.length > 0,
      );
      expect(changes).toEqual([MISSED]);
    },
  );
});

describe('notifications', () => {
  it('are far fewer than the writes of a crowd, and tell of all of them', async () => {
    const storage = await openLive();
    const direct = await listenDirectly();
    const taskIds = Array.from({ length: 500 }, (_, index) => `task-${index}`);
    await Promise.all(taskIds.map(async (taskId) => storage.createTask(newTask(taskId))));
    const told = await eventually(
      () => new Set(direct.payloads.flatMap((payload) => readPayload(payload))),
      (changes) => changes.size >= 500,
    );
    await direct.end();
    expect([...told].map(({ taskId }) => taskId).sort()).toEqual([...taskIds].sort());
    expect(direct.payloads.length).toBeLessThan(50);
  });

  it('stay below what Postgres takes, whatever the ids are', async () => {
    const storage = await openLive();
    const other = await openLive();
    const changes = record(other);
    // Four bytes each, and six in JSON.
    const taskIds = ['\u{1F98A}', '\u0001', '"'].flatMap((character) =>
      Array.from({ length: 20 }, (_, index) => character.repeat(253) + String(10 + index)),
    );
    await Promise.all(taskIds.map(async (taskId) => storage.createTask(newTask(taskId))));
    await eventually(
      () => changes.length,
      (count) => count === 60,
    );
    expect(changes.map(({ taskId }) => taskId).sort()).toEqual([...taskIds].sort());
    for (const payload of packPayloads('sender', taskIds)) {
      expect(Buffer.byteLength(payload)).toBeLessThan(8000);
    }
  });

  it('under way are one at a time, and too many hints become one', async () => {
    const sent: string[][] = [];
    const answer = createGate();
    const notifier = new ChangeNotifier('me', async (payloads) => {
      sent.push([...payloads]);
      await answer.opened;
    });
    notifier.add({ kind: 'written', taskId: 'first' });
    await eventually(
      () => sent,
      (all) => all.length === 1,
    );
    for (let index = 0; index < 20_000; index += 1) {
      notifier.add({ kind: 'written', taskId: `task-${index}` });
    }
    expect(sent).toHaveLength(1);
    answer.open();
    await notifier.finish();
    expect(sent).toEqual([['["me","wfirst"]'], ['["me","m"]']]);
  });

  it('that fail are dropped, and those after them sent', async () => {
    const sent: string[] = [];
    const notifier = new ChangeNotifier('me', async (payloads) => {
      sent.push(...payloads);
      throw new Error('The line is broken');
    });
    notifier.add({ kind: 'ended', taskId: 'a' });
    await eventually(
      () => sent,
      (all) => all.length === 1,
    );
    notifier.add({ kind: 'ended', taskId: 'b' });
    await notifier.finish();
    expect(sent).toEqual(['["me","ea"]', '["me","eb"]']);
  });

  it('of the last changes are sent before the storage is closed', async () => {
    const storage = await open();
    const direct = await listenDirectly();
    await storage.createTask(newTask('a'));
    await storage.updateTask('a', { status: 'cancelled' });
    await storage.close();
    await eventually(
      () => direct.payloads.flatMap((payload) => readPayload(payload)),
      (changes) => changes.some(({ kind }) => kind === 'ended'),
    );
    await direct.end();
  });
});

describe('a listening session', () => {
  it('that is ended is replaced, and what may have been missed is said', async () => {
    const warnings: string[] = [];
    const storage = await openLive({ onWarning: (warning) => warnings.push(warning) });
    const states: boolean[] = [];
    const changes = record(storage);
    await endListeningSessions();
    await eventually(
      () => {
        states.push(storage.changes.isLive);
        return changes.length;
      },
      (count) => count > 0,
    );
    expect(states).toContain(false);
    expect(storage.changes.isLive).toBe(true);
    expect(changes).toEqual([MISSED]);
    await (await openLive()).createTask(newTask('later'));
    await eventually(
      () => changes,
      (all) => all.some(({ taskId }) => taskId === 'later'),
    );
    // The pool says by itself that it lost an idle session; this one was not idle.
    expect(warnings).toEqual([]);
  });

  it('is not waited for at the start, and is there when it can be', async () => {
    await (await open()).close();
    await postgres.database.query(`CREATE ROLE single LOGIN PASSWORD 'single' CONNECTION LIMIT 1`);
    await postgres.database.query(`GRANT ALL ON ALL TABLES IN SCHEMA public TO single`);
    const warnings: string[] = [];
    const url = new URL(postgres.database.connectionString);
    url.username = url.password = 'single';
    try {
      const storage = await open({
        connectionString: url.href,
        onWarning: (warning) => warnings.push(warning),
      });
      // Another session has to prove that notifications arrive, and there may be none.
      await eventually(
        () => warnings,
        (all) => all.length > 0,
      );
      await postgres.database.query('ALTER ROLE single CONNECTION LIMIT 10');
      const changes = record(storage);
      await isLive(storage);
      expect(changes).toEqual([MISSED]);
      expect(warnings).toEqual([expect.stringMatching(/notifications do not arrive: .*too many/)]);
      expect(await storage.createTask(newTask('a'))).toBe(true);
    } finally {
      await postgres.closeAll();
      await postgres.database.query(`DROP OWNED BY single; DROP ROLE single`);
    }
  });

  it("of an application's own data source is ended with the storage", async () => {
    const dataSource = await new DataSource({
      type: 'postgres',
      url: postgres.database.connectionString,
      // The pool ends no session by itself.
      extra: { idleTimeoutMillis: 0 },
    }).initialize();
    const storage = await openLive({ dataSource });
    const closedAt = performance.now();
    await storage.close();
    // Five seconds are what closing waits at the most for a session that does not come back.
    expect(performance.now() - closedAt).toBeLessThan(4_000);
    const listening = async (): Promise<unknown[]> =>
      postgres.database.query(
        `SELECT 1 FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock_shared%' AND pid <> pg_backend_pid()`,
      );
    await eventually(listening, (sessions) => sessions.length === 0);
    expect(storage.changes.isLive).toBe(false);
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await dataSource.destroy();
  });
});

describe('a listener', () => {
  const hello = { text: 'SELECT pg_notify($1, $2)', values: [CHANNEL, '["me"]'] };

  let dataSource: DataSource;
  let connection: PostgresConnection;

  beforeEach(async () => {
    dataSource = await new DataSource({
      type: 'postgres',
      url: postgres.database.connectionString,
    }).initialize();
    connection = new PostgresConnection(dataSource, true);
  });

  afterEach(async () => {
    await connection.close();
  });

  /** A listener whose sessions a test may interfere with. */
  function listenThrough(
    answerLimitMs: number,
    interfere: (session: PostgresSession) => PostgresSession,
  ) {
    const heard = { live: 0, warnings: new Array<string>(), attempts: 0 };
    const listener = new ChangeListener(
      {
        send: connection.send,
        withSession: async (work) =>
          connection.withSession(async (session) => {
            heard.attempts += 1;
            return work(interfere(session));
          }),
      },
      { channel: CHANNEL, lock: CHANNEL, hello },
      {
        onPayload: () => undefined,
        onLive: () => {
          heard.live += 1;
        },
        onWarning: (warning) => heard.warnings.push(warning),
      },
      { firstRetryMs: 1, longestRetryMs: 5, probeEveryMs: 5, answerLimitMs },
    );
    void listener.run();
    return { listener, heard };
  }

  it('is not live behind a pooler that passes no notification on, and says so once', async () => {
    const { listener, heard } = listenThrough(50, (session) => ({
      ...session,
      onNotification: () => undefined,
    }));
    await eventually(
      () => heard.attempts,
      (attempts) => attempts >= 3,
    );
    expect(listener.isLive).toBe(false);
    expect(heard.live).toBe(0);
    expect(heard.warnings).toEqual([
      expect.stringContaining('notifications do not arrive: Nothing came for 50 ms'),
    ]);
    listener.stop();
  });

  it('replaces a session that does not answer any more, which is no news', async () => {
    const { listener, heard } = listenThrough(2_000, (session) => ({
      ...session,
      send: async (statement) =>
        heard.live === 1 && statement.text === ASK_READ_ONLY
          ? new Promise(() => undefined)
          : session.send(statement),
    }));
    await eventually(
      () => heard.live,
      (live) => live >= 2,
    );
    expect(heard.warnings).toEqual([]);
    listener.stop();
    expect(listener.isLive).toBe(false);
  });
});
