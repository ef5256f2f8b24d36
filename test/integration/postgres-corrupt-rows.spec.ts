import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TaskStorageError, UnreadableTaskError } from '../../src/task/errors.js';
import type { ClaimedTask } from '../../src/task/task-lease.js';
import type { TaskStorage, UnreadableTask } from '../../src/task/task-storage.js';
import {
  allowNulls,
  CORRUPT_COLUMNS,
  CORRUPT_CONTENT,
  insertCorrupt,
  type CorruptColumn,
} from '../support/corrupt-columns.js';
import { PostgresStorages } from '../support/postgres-storages.js';

const GOOD = ['a', 'b', 'y', 'z'];
const BAD = 'm-bad';
const LEASE_MS = 60_000;

const postgres = new PostgresStorages();
let storage: TaskStorage;
let warnings: string[] = [];

beforeAll(async () => {
  await postgres.create();
  storage = await postgres.open({ onWarning: (message) => warnings.push(message) });
  await allowNulls(postgres.database);
});
afterAll(async () => postgres.drop());

beforeEach(async () => {
  warnings = [];
  for (const taskId of GOOD) {
    await storage.createTask({ taskId, query: 'q', maxSteps: 1 }, { queue: true });
  }
});
afterEach(async () => {
  await postgres.database.query('DELETE FROM agent_tasks');
});

async function write(corrupt: CorruptColumn): Promise<void> {
  await insertCorrupt(postgres.database, BAD, corrupt);
}

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => null,
    (error: unknown) => error,
  );
}

/** A claim writes some columns anew, which mends the task. */
function othersOf(claimed: readonly ClaimedTask[]): string[] {
  return claimed.map(({ task }) => task.taskId).filter((taskId) => taskId !== BAD);
}

/** Every page of one task each. */
async function listAll(
  view: 'full' | 'summary',
): Promise<{ read: string[]; unreadable: UnreadableTask[] }> {
  const read: string[] = [];
  const unreadable: UnreadableTask[] = [];
  let pageToken: string | undefined;
  do {
    const page = await storage.listTasks({ limit: 1, pageToken, view: view as 'full' });
    read.push(...page.tasks.map(({ taskId }) => taskId));
    unreadable.push(...(page.unreadable ?? []));
    pageToken = page.nextPageToken ?? undefined;
  } while (pageToken !== undefined);
  return { read, unreadable };
}

describe.each(CORRUPT_COLUMNS)('A row with $column = $value', (corrupt) => {
  const { column, inSummary } = corrupt;

  it('is said to be unreadable, and hides no other', async () => {
    await write(corrupt);
    const gathered = [...GOOD, BAD, ...GOOD].map(async (taskId) =>
      storage.getTask(taskId).catch((error: unknown) => error),
    );
    const answers = await Promise.all(gathered);
    const error = answers[GOOD.length];
    expect(error).toBeInstanceOf(UnreadableTaskError);
    expect(error).toMatchObject({ code: 'CORRUPT', taskId: BAD });
    expect(String(error)).toContain(BAD);
    expect(String(error)).toContain(`column ${column} holds`);
    expect(String(error)).not.toContain(CORRUPT_CONTENT);
    expect(answers.toSpliced(GOOD.length, 1)).toMatchObject(
      [...GOOD, ...GOOD].map((taskId) => ({ taskId })),
    );

    const full = await listAll('full');
    expect(full.read.toSorted()).toEqual(GOOD);
    expect(full.unreadable).toEqual([
      { taskId: BAD, reason: expect.stringContaining(`column ${column} `) },
    ]);
    const summary = await listAll('summary');
    expect(summary.read.toSorted()).toEqual(inSummary ? GOOD : [...GOOD, BAD].toSorted());
    expect(summary.unreadable).toHaveLength(inSummary ? 1 : 0);
  });

  it('stops neither counting, changing, cleaning nor claiming, and can be deleted', async () => {
    await write(corrupt);
    await postgres.database.query(`UPDATE agent_tasks SET queued_at = '2000-01-01'
      WHERE task_id = '${BAD}' AND queued_at IS NULL`);
    expect(await storage.countActiveTasks()).toBeGreaterThanOrEqual(GOOD.length);
    const changes = [...GOOD, BAD].map(async (taskId) =>
      storage.updateTask(taskId, { result: 'new' }, { expectedVersion: 1 }).catch(() => 'refused'),
    );
    expect((await Promise.all(changes)).slice(0, GOOD.length)).toEqual(GOOD.map(() => true));
    const failure = await failureOf(storage.updateTask(BAD, { status: 'finished' }));
    expect(failure).toBeInstanceOf(TaskStorageError);

    const claim = { owner: 'owner', leaseMs: LEASE_MS, limit: 100 };
    const claimed = await storage.leases.claimQueued(claim);
    expect(othersOf(claimed)).toEqual(GOOD);
    expect(await storage.leases.claimQueued(claim)).toEqual([]);
    const renewed = await storage.leases.renew({ owner: claim.owner, leaseMs: LEASE_MS });
    expect([...renewed.keys()].filter((taskId) => taskId !== BAD).toSorted()).toEqual(GOOD);
    await postgres.database.query('UPDATE agent_tasks SET lease_expires_at = NOW()');
    expect(othersOf(await storage.leases.claimExpired(claim)).toSorted()).toEqual(GOOD);

    await storage.cleanupOldTasks(1);
    expect(await storage.deleteTask(BAD)).toBe(true);
    expect((await listAll('full')).read.toSorted()).toEqual(GOOD);
  });
});

it('ends a claimed task that nobody can run, and says why in its log', async () => {
  await write({ column: 'request_data', value: `'[]'`, inSummary: false });
  await postgres.database.query(
    `UPDATE agent_tasks SET queued_at = '2000-01-01' WHERE task_id = '${BAD}'`,
  );
  await storage.leases.claimQueued({ owner: 'owner', leaseMs: LEASE_MS, limit: 1 });
  expect(await storage.getTask(BAD, { view: 'summary' })).toMatchObject({
    status: 'error',
    finalState: 'unreadable',
    error: expect.stringContaining('request_data'),
    leaseOwner: null,
  });
  expect(await storage.listEvents(BAD)).toMatchObject([{ stage: 'error', status: 'error' }]);
  expect(warnings).toEqual([
    expect.stringMatching(
      /^Task m-bad was claimed and cannot be read: .*request_data.*; it has ended with an error$/,
    ),
  ]);
});

it('ends one whose log takes no event, and tells the operator', async () => {
  await write({ column: 'last_event_sequence', value: 'NULL', inSummary: true });
  await postgres.database.query(
    `UPDATE agent_tasks SET queued_at = '2000-01-01' WHERE task_id = '${BAD}'`,
  );
  await storage.leases.claimQueued({ owner: 'owner', leaseMs: LEASE_MS, limit: 1 });
  const rows = await postgres.database.query(
    `SELECT status FROM agent_tasks WHERE task_id = '${BAD}'`,
  );
  expect(rows).toEqual([{ status: 'error' }]);
  expect(warnings).toEqual([expect.stringContaining('last_event_sequence')]);
});

it('tells the operator of one that cannot even be ended', async () => {
  await write({ column: 'attempt', value: 'NULL', inSummary: true });
  await postgres.database.query(
    `UPDATE agent_tasks SET queued_at = '2000-01-01' WHERE task_id = '${BAD}'`,
  );
  await storage.leases.claimQueued({ owner: 'owner', leaseMs: LEASE_MS, limit: 1 });
  expect(warnings).toEqual([expect.stringContaining('; it could not be ended: ')]);
});

it('claims the others when no attempt follows that of a task', async () => {
  await postgres.database.query(
    `UPDATE agent_tasks SET attempt = 2147483647, version = 2147483647 WHERE task_id = 'a'`,
  );
  const claim = { owner: 'owner', leaseMs: LEASE_MS, limit: 100 };
  const claimed = await storage.leases.claimQueued(claim);
  expect(claimed.map(({ task }) => task.taskId)).toEqual(GOOD);
});

it.each(['status = $$unknown$$', 'created_at = $$infinity$$'])(
  'refuses a log with an event that has %s',
  async (change) => {
    await storage.appendEvents('a', [{ stage: 'step', message: 'm' }]);
    await postgres.database.query(`UPDATE agent_tasks_events SET ${change}`);
    await expect(storage.listEvents('a')).rejects.toMatchObject({ code: 'CORRUPT', taskId: 'a' });
  },
);

it('finds its place again behind any number of rows with times that no date can hold', async () => {
  const times = ['infinity', '-infinity', '294276-12-31 23:59:59.999999+00', '4713-01-01+00 BC'];
  for (const [index, time] of times.entries()) {
    for (const suffix of ['1', '2', '3']) {
      await insertCorrupt(postgres.database, `bad-${index}-${suffix}`, {
        column: 'created_at',
        value: `'${time}'`,
        inSummary: true,
      });
    }
  }
  const { read, unreadable } = await listAll('full');
  expect(read.toSorted()).toEqual(GOOD);
  expect(unreadable.map(({ taskId }) => taskId)).toEqual(
    [0, 2, 3, 1].flatMap((index) => ['3', '2', '1'].map((suffix) => `bad-${index}-${suffix}`)),
  );
});
