import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { changeTasks } from '../../src/storage/typeorm/change-statement.js';
import type { GuardedChange } from '../../src/storage/typeorm/guarded-change.js';
import { insertTasks, type Creation } from '../../src/storage/typeorm/create-statement.js';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import {
  claimExpiredTasks,
  claimQueuedTasks,
  findQueued,
  renewLeases,
} from '../../src/storage/typeorm/lease-statements.js';
import {
  countActive,
  countOldTasks,
  deleteOldTasks,
  selectByIds,
  selectEvents,
  selectTasks,
} from '../../src/storage/typeorm/read-statements.js';
import { SchemaNames } from '../../src/storage/typeorm/schema-names.js';
import type { SqlStatement } from '../../src/storage/typeorm/sql-parameters.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const names = new SchemaNames('public', 'agent_tasks');
const PRIMARY_KEY = 'agent_tasks_pkey';

/** One session, because what is set and prepared belongs to it. */
let session: pg.Client;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  const { connectionString } = database;
  const storage = await createPostgresTaskStorage({ connectionString, connectRetryMs: 0 });
  await storage.close();
  session = new pg.Client({ connectionString });
  await session.connect();
  await session.query(
    `INSERT INTO agent_tasks (task_id, tenant_id, status, query, max_steps, created_at, updated_at,
       finished_at)
     SELECT 'ended-' || n, 'tenant-' || n % 100,
       CASE WHEN n % 50 = 1 THEN 'error' ELSE 'finished' END, 'q', 1, ended, ended,
       CASE WHEN n % 100 > 0 THEN ended END
     FROM (SELECT n, NOW() - n * INTERVAL '1 minute' AS ended FROM generate_series(1, 200000) n) AS row`,
  );
  await session.query(
    `INSERT INTO agent_tasks (task_id, tenant_id, status, query, max_steps, queued_at)
     SELECT 'queued-' || n, 'tenant-' || n % 100, 'pending', 'q', 1, NOW()
     FROM generate_series(1, 2000) n`,
  );
  await session.query(
    `INSERT INTO agent_tasks (task_id, tenant_id, status, query, max_steps, lease_owner, lease_expires_at)
     SELECT 'leased-' || n, 'tenant-' || n, 'running', 'q', 1, 'owner-' || n % 10, NOW()
     FROM generate_series(1, 100) n`,
  );
  await session.query(
    `INSERT INTO agent_tasks_events (task_id, sequence, stage, message)
     SELECT 'ended-' || n, 1, 'stage', 'message' FROM generate_series(1, 50000) n`,
  );
  await session.query('VACUUM ANALYZE agent_tasks, agent_tasks_events');
}, 120_000);

afterAll(async () => {
  await session.end();
  await database.drop();
});

/** The plan for any values, which is the one that a prepared statement comes to use. */
async function genericPlanOf({ text }: SqlStatement): Promise<string> {
  return planOf(`EXPLAIN (GENERIC_PLAN) ${text}`, []);
}

/** The plan for these values. */
async function customPlanOf({ text, values }: SqlStatement): Promise<string> {
  return planOf(`EXPLAIN ${text}`, values);
}

async function planOf(explain: string, values: readonly unknown[]): Promise<string> {
  const { rows } = await session.query<{ 'QUERY PLAN': string }>({
    text: explain,
    values: [...values],
  });
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

/** The indexes that a plan reads. */
function indexesOf(plan: string): readonly string[] {
  const found = plan.matchAll(/(?:using|Index Scan on|Index Only Scan on) (\w+_(?:pkey|\w+))/g);
  return [...new Set([...found].map(([, index]) => index ?? ''))];
}

function change(taskId: string): GuardedChange {
  return {
    taskId,
    tenantId: null,
    updates: { status: 'running' },
    values: { status: 'running' },
    expectedVersion: 1,
    lease: null,
    expectedSequence: 0,
    events: [{ stage: 'stage', message: 'message' }],
  };
}

function creation(taskId: string): Creation {
  return {
    task: { taskId, tenantId: 'tenant-1' },
    values: {
      taskId,
      tenantId: 'tenant-1',
      status: 'pending',
      query: 'q',
      maxSteps: 1,
      maxAttempts: 1,
    },
    maxActiveTasks: 10_000,
    maxActiveTasksPerTenant: 100,
    lease: null,
    queue: false,
    events: [],
  };
}

const ids = Array.from({ length: 64 }, (_, index) => `ended-${index + 1}`);
const wanted = ids.map((taskId) => ({ taskId, tenantId: null }));
const list = {
  tenantId: null,
  status: null,
  after: null,
  offset: 0,
  limit: 101,
  view: 'full',
} as const;
const DAY_MICROSECONDS = 86_400_000_000;
const far = {
  createdAtMicroseconds: String(Date.now() * 1000 - 60 * DAY_MICROSECONDS),
  taskId: 'ended-100',
};
const old = {
  tenantId: null,
  statuses: ['finished', 'error', 'cancelled'],
  olderThanDays: 30,
} as const;
const term = { owner: 'owner-1', leaseMs: 1000, limit: 10 };
const queued = { ...term, maxHeldTasks: null, maxHeldTasksPerTenant: null };
const expired = { ...term, resumableAfterMs: 0, staleRunningMinutes: null };

/** Each statement, and the indexes that it is to read tasks by; more than one where it has parts. */
const STATEMENTS: readonly [string, SqlStatement, readonly string[]][] = [
  ['get', selectByIds(names, 'full', wanted.slice(0, 1), true), [PRIMARY_KEY]],
  ['get many', selectByIds(names, 'summary', wanted, false), [PRIMARY_KEY]],
  ['change', changeTasks(names, [change('ended-1')], 'wait'), [PRIMARY_KEY]],
  ['change and explain', changeTasks(names, [change('ended-1')], 'explain'), [PRIMARY_KEY]],
  ['change many', changeTasks(names, ids.map(change), 'pass'), [PRIMARY_KEY]],
  ['create', insertTasks(names, [creation('new')]), [PRIMARY_KEY, 'idx_agent_tasks_active']],
  ['create many', insertTasks(names, ids.map(creation)), [PRIMARY_KEY, 'idx_agent_tasks_active']],
  ['count', countActive(names, null), ['idx_agent_tasks_active']],
  ['count of a tenant', countActive(names, 'tenant-1'), ['idx_agent_tasks_active']],
  ['list', selectTasks(names, list), ['idx_agent_tasks_created_at']],
  ['list from afar', selectTasks(names, { ...list, after: far }), ['idx_agent_tasks_created_at']],
  [
    'list by status',
    selectTasks(names, { ...list, status: 'error', after: far }),
    ['idx_agent_tasks_status'],
  ],
  [
    'list of a tenant',
    selectTasks(names, { ...list, tenantId: 'tenant-1', after: far }),
    ['idx_agent_tasks_tenant_newest'],
  ],
  [
    'events',
    selectEvents(names, { taskId: 'ended-1', tenantId: 'tenant-1', afterSequence: 0, limit: 100 }),
    ['agent_tasks_events_pkey', PRIMARY_KEY],
  ],
  ['is anything queued', findQueued(names), ['idx_agent_tasks_queue']],
  ['claim', claimQueuedTasks(names, queued), ['idx_agent_tasks_queue', PRIMARY_KEY]],
  [
    'claim within limits',
    claimQueuedTasks(names, { ...queued, maxHeldTasks: 50, maxHeldTasksPerTenant: 5 }),
    ['idx_agent_tasks_tenant_queue', PRIMARY_KEY],
  ],
  ['claim what has expired', claimExpiredTasks(names, expired), [PRIMARY_KEY]],
  [
    'claim what is stale',
    claimExpiredTasks(names, { ...expired, staleRunningMinutes: 60 }),
    [PRIMARY_KEY],
  ],
  ['renew', renewLeases(names, { ...term, taskIds: null }), ['idx_agent_tasks_leased']],
  [
    'clean up',
    deleteOldTasks(names, old, 1000),
    ['idx_agent_tasks_ended', 'idx_agent_tasks_ended_unseen', PRIMARY_KEY],
  ],
];

describe.each(STATEMENTS)('with 200,000 ended tasks, to %s', (_name, statement, expected) => {
  it.each([
    ['these values', customPlanOf],
    ['any values', genericPlanOf],
  ])('reads by the indexes meant for it, planned for %s', async (_kind, explain) => {
    const plan = await explain(statement);
    expect([plan, indexesOf(plan)]).toEqual([
      expect.not.stringContaining('Seq Scan'),
      expect.arrayContaining([...expected]),
    ]);
  });
});

it('counts old tasks by the indexes of their ends', async () => {
  const plan = await customPlanOf(countOldTasks(names, { ...old, olderThanDays: 130 }, null));
  expect(indexesOf(plan)).toEqual(['idx_agent_tasks_ended', 'idx_agent_tasks_ended_unseen']);
});

/** How much of the write-ahead log this session has written; others write to it as well. */
async function writtenBytes(): Promise<number> {
  await session.query('SELECT pg_stat_force_next_flush()');
  const { rows } = await session.query<{ bytes: string }>(
    'SELECT wal_bytes::text AS bytes FROM pg_stat_get_backend_wal(pg_backend_pid())',
  );
  return Number(rows[0]?.bytes);
}

it('writes little when the status of a task with a large conversation changes', async () => {
  const conversation = Array.from({ length: 40_000 }, (_, index) => `message ${index}`);
  await session.query(
    `INSERT INTO agent_tasks (task_id, status, query, max_steps, conversation_history)
     VALUES ('large', 'pending', 'q', 1, $1)`,
    [JSON.stringify({ conversation })],
  );
  const { text, values } = changeTasks(names, [change('large'), change('no such task')], 'pass');
  const before = await writtenBytes();
  const changed = await session.query({ text, values: [...values] });
  const written = (await writtenBytes()) - before;
  expect(changed.rows).toMatchObject([
    { met: true, changed: true, last_event_sequence: 1 },
    { met: false, passed_over: false },
  ]);
  // Pages written for the first time since a checkpoint are written whole, 8 KiB each.
  expect(written).toBeGreaterThan(0);
  expect(written).toBeLessThan(100_000);
});
