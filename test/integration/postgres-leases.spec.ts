import { describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { createMigrations } from '../../src/storage/typeorm/migrations/index.js';
import { SchemaNames } from '../../src/storage/typeorm/schema-names.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { besideTransaction } from '../support/beside-transaction.js';
import { eventually } from '../support/eventually.js';
import { insertOriginalRow } from '../support/original-service.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const HOUR_MS = 3_600_000;

const postgres = usePostgresStorages();
const { open } = postgres;

function newTask(taskId: string, tenantId = 'default') {
  return { taskId, tenantId, query: 'add 2 and 2', maxSteps: 5 };
}

async function queue(storage: TaskStorage, taskId: string, tenantId?: string): Promise<void> {
  await storage.createTask(newTask(taskId, tenantId), { queue: true });
}

function minutesAgo(minutes: number): string {
  return new Date(Date.now() - minutes * 60_000).toISOString();
}

const TAKE_ADMISSION_LOCK = `SELECT pg_advisory_xact_lock(
  hashtextextended('nestjs-task-storage:public.agent_tasks:admit', 0))`;

describe('claiming from the queue', () => {
  it('holds the limits whatever races over two storages', async () => {
    const storages = [await open(), await open()] as const;
    for (let index = 0; index < 30; index += 1) {
      await queue(storages[0], `a-${index}`, 'a');
      await queue(storages[0], `b-${index}`, index < 15 ? 'b' : 'c');
    }
    const claimers = Array.from({ length: 24 }, async (_, index) =>
      storages[index % 2 === 0 ? 0 : 1].leases.claimQueued({
        owner: `owner-${index}`,
        leaseMs: HOUR_MS,
        limit: 3,
        maxHeldTasks: 10,
        maxHeldTasksPerTenant: 4,
      }),
    );
    const claimed = (await Promise.all(claimers)).flat().map(({ task }) => task);
    expect(new Set(claimed.map(({ taskId }) => taskId)).size).toBe(10);
    expect(claimed).toHaveLength(10);
    const ofTenants = ['a', 'b', 'c'].map(
      (tenant) => claimed.filter(({ tenantId }) => tenantId === tenant).length,
    );
    expect(ofTenants).toEqual([4, 4, 2]);
  });

  it('takes no lock while nothing waits', async () => {
    const storage = await open({ lockTimeoutMs: 50 });
    const term = { owner: 'me', leaseMs: HOUR_MS, limit: 1 };
    await besideTransaction(postgres.database.connectionString, TAKE_ADMISSION_LOCK, async () => {
      expect(await storage.leases.claimQueued(term)).toEqual([]);
      await queue(storage, 'waiting');
      await expect(storage.leases.claimQueued(term)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      });
    });
  });

  it.each([undefined, 5])(
    'passes over a task that somebody is changing (limit of the tenant: %s)',
    async (maxHeldTasksPerTenant) => {
      const storage = await open({ lockTimeoutMs: 50 });
      await queue(storage, 'first');
      await queue(storage, 'second');
      await besideTransaction(
        postgres.database.connectionString,
        `SELECT * FROM agent_tasks WHERE task_id = 'first' FOR UPDATE`,
        async () => {
          const claimed = await storage.leases.claimQueued({
            owner: 'me',
            leaseMs: HOUR_MS,
            limit: 1,
            maxHeldTasksPerTenant,
          });
          expect(claimed.map(({ task }) => task.taskId)).toEqual(['second']);
        },
      );
    },
  );

  it('claims nothing that was never queued, such as what the original service created', async () => {
    const storage = await open();
    await insertOriginalRow(postgres.database, {
      taskId: 'theirs',
      status: 'pending',
      createdAt: minutesAgo(5),
      updatedAt: minutesAgo(5),
    });
    await queue(storage, 'ours');
    const claimed = await storage.leases.claimQueued({
      owner: 'me',
      leaseMs: HOUR_MS,
      limit: 10,
    });
    expect(claimed.map(({ task }) => task.taskId)).toEqual(['ours']);
  });

  it('dates a claim no earlier than its task, however long it waited for its turn', async () => {
    const storage = await open();
    await queue(storage, 'first');
    const term = { owner: 'me', leaseMs: HOUR_MS, limit: 10 };
    let claiming: Promise<unknown> | undefined;
    await besideTransaction(postgres.database.connectionString, TAKE_ADMISSION_LOCK, async () => {
      claiming = storage.leases.claimQueued(term);
      await eventually(
        async () => postgres.database.query(`SELECT 1 FROM pg_locks WHERE NOT granted`),
        (waiting) => waiting.length === 1,
      );
      await queue(storage, 'later');
    });
    await claiming;
    const later = await storage.getTask('later');
    expect(later?.leaseOwner).toBe('me');
    expect(later?.updatedAt.getTime()).toBeGreaterThanOrEqual(later?.createdAt.getTime() ?? NaN);
  });
});

describe('claiming what has expired', () => {
  const term = { owner: 'me', leaseMs: HOUR_MS, limit: 10 };

  it('leaves a running task of the original service alone unless told when it is stale', async () => {
    const storage = await open();
    for (const [taskId, minutes] of [
      ['stale', 61],
      ['fresh', 59],
    ] as const) {
      await insertOriginalRow(postgres.database, {
        taskId,
        status: 'running',
        createdAt: minutesAgo(600),
        updatedAt: minutesAgo(minutes),
      });
    }
    expect(await storage.leases.claimExpired(term)).toEqual([]);
    const claimed = await storage.leases.claimExpired({ ...term, staleRunningMinutes: 60 });
    expect(claimed).toMatchObject([
      { lostOwner: null, task: { taskId: 'stale', leaseOwner: 'me', attempt: 1, version: 2 } },
    ]);
    expect(await storage.leases.claimExpired({ ...term, staleRunningMinutes: 60 })).toEqual([]);
  });

  it('takes expired and stale tasks by the time at which they were lost', async () => {
    const storage = await open();
    await storage.createTask(newTask('leased-early'), { lease: { owner: 'gone', leaseMs: 1 } });
    await storage.createTask(newTask('leased-late'), { lease: { owner: 'gone', leaseMs: 1 } });
    await postgres.database.query(
      `UPDATE agent_tasks SET lease_expires_at =
         NOW() - INTERVAL '1 minute' * CASE task_id WHEN 'leased-early' THEN 90 ELSE 30 END`,
    );
    await insertOriginalRow(postgres.database, {
      taskId: 'stale',
      status: 'running',
      createdAt: minutesAgo(600),
      updatedAt: minutesAgo(61),
    });
    const claimed = await storage.leases.claimExpired({
      ...term,
      limit: 2,
      staleRunningMinutes: 60,
    });
    expect(claimed.map(({ task, lostOwner }) => [task.taskId, lostOwner])).toEqual([
      ['leased-early', 'gone'],
      ['stale', null],
    ]);
  });

  it('gives each task to one of those who ask at once', async () => {
    const storages = [await open(), await open()] as const;
    for (let index = 0; index < 40; index += 1) {
      await storages[0].createTask(newTask(`task-${index}`), {
        lease: { owner: 'gone', leaseMs: 1 },
      });
    }
    const claimed = await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        storages[index % 2 === 0 ? 0 : 1].leases.claimExpired({
          ...term,
          owner: `owner-${index}`,
        }),
      ),
    );
    const ids = claimed.flat().map(({ task }) => task.taskId);
    expect(ids).toHaveLength(40);
    expect(new Set(ids).size).toBe(40);
  });

  it('passes over a task that somebody is changing', async () => {
    const storage = await open({ lockTimeoutMs: 50 });
    await storage.createTask(newTask('first'), { lease: { owner: 'gone', leaseMs: 1 } });
    await storage.createTask(newTask('second'), { lease: { owner: 'gone', leaseMs: 1 } });
    await besideTransaction(
      postgres.database.connectionString,
      `SELECT * FROM agent_tasks WHERE task_id = 'first' FOR UPDATE`,
      async () => {
        const claimed = await storage.leases.claimExpired({ ...term, limit: 1 });
        expect(claimed.map(({ task }) => task.taskId)).toEqual(['second']);
      },
    );
  });

  it('leaves a task alone that the original service ended without clearing its owner', async () => {
    const storage = await open();
    await storage.createTask(newTask('theirs'), { lease: { owner: 'gone', leaseMs: 1 } });
    await postgres.database.query(`UPDATE agent_tasks SET status = 'finished', updated_at = NOW()`);
    expect(await storage.leases.claimExpired(term)).toEqual([]);
    expect(await storage.leases.renew({ owner: 'gone', leaseMs: HOUR_MS })).toEqual(new Map());
  });
});

it('renews without touching an index (heap-only updates)', async () => {
  const storage = await open();
  for (let index = 0; index < 200; index += 1) {
    // Side by side with others, as they are in a table that has been used for a while.
    await storage.createTask(
      newTask(`task-${index}`),
      index % 20 === 0 ? { lease: { owner: 'me', leaseMs: HOUR_MS } } : {},
    );
  }
  for (let round = 0; round < 10; round += 1) {
    const renewed = await storage.leases.renew({ owner: 'me', leaseMs: HOUR_MS });
    expect(renewed.size).toBe(10);
  }
  // A session hands in what it counted when it ends.
  await storage.close();
  const counted = await eventually(
    async () =>
      postgres.database.query<{ all: number; hot: number }>(
        `SELECT n_tup_upd::int AS all, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables
         WHERE relname = 'agent_tasks'`,
      ),
    ([row]) => row?.all === 100,
  );
  // Not quite all: while somebody else still sees the older versions of the rows, the database's own
  // cleaner for one, a full page cannot make room. With the time of expiry in an index it is none.
  expect(counted[0]?.hot).toBeGreaterThan(50);
});

it('brings a database of an earlier version up to date, and its leases count as ended', async () => {
  const earlier = await new DataSource({
    type: 'postgres',
    url: postgres.database.connectionString,
    migrations: createMigrations(new SchemaNames('public', 'agent_tasks'), 'UTC').slice(0, 3),
    migrationsTableName: 'agent_tasks_migrations',
  }).initialize();
  await earlier.runMigrations();
  await earlier.destroy();
  await postgres.database.query(
    `INSERT INTO agent_tasks (task_id, status, query, max_steps, lease_owner)
     VALUES ('held', 'running', 'q', 1, 'earlier'), ('free', 'pending', 'q', 1, NULL)`,
  );
  const storage = await open();
  expect(await storage.getTask('held')).toMatchObject({
    leaseOwner: 'earlier',
    leaseExpiresAt: expect.any(Date),
    attempt: 0,
    maxAttempts: 1,
    queuedAt: null,
    sealedRequest: null,
  });
  expect(await storage.getTask('free')).toMatchObject({ leaseOwner: null, leaseExpiresAt: null });
  // Written by an earlier version that still runs.
  await postgres.database.query(
    `INSERT INTO agent_tasks (task_id, status, query, max_steps, lease_owner)
     VALUES ('held-later', 'running', 'q', 1, 'earlier')`,
  );
  const term = { owner: 'me', leaseMs: HOUR_MS, limit: 10 };
  const claimed = await storage.leases.claimExpired(term);
  expect(claimed.map(({ task, lostOwner }) => [task.taskId, lostOwner])).toEqual([
    ['held', 'earlier'],
    ['held-later', 'earlier'],
  ]);
  expect(await storage.leases.claimQueued(term)).toEqual([]);
});
