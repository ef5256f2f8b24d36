import { expect, it } from '@jest/globals';
import type { CreateTaskOptions, TaskStorage } from '../../src/task/task-storage.js';
import { besideTransaction } from '../support/beside-transaction.js';
import { eventually } from '../support/eventually.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const postgres = usePostgresStorages();
const { open } = postgres;

interface Wanted {
  readonly taskId: string;
  readonly tenantId?: string;
  readonly status?: 'pending' | 'running';
}

/** Creates tasks at once. @returns for each its answer, or what its error says */
async function createAll(
  storage: TaskStorage,
  wanted: readonly Wanted[],
  options?: CreateTaskOptions,
): Promise<unknown[]> {
  return Promise.all(
    wanted.map(async (task) =>
      storage
        .createTask({ query: 'q', maxSteps: 1, ...task }, options)
        .catch((error: unknown) => (error instanceof Error ? error.message : error)),
    ),
  );
}

function tasks(prefix: string, count: number, tenantId = 'default'): Wanted[] {
  return Array.from({ length: count }, (_, index) => ({ taskId: `${prefix}-${index}`, tenantId }));
}

function active(count: number, limit: number, subject = 'tasks'): string {
  return `${count} ${subject} are active; at most ${limit} may be`;
}

async function storedIds(): Promise<string[]> {
  const rows = await postgres.database.query<{ task_id: string }>(
    `SELECT task_id FROM agent_tasks ORDER BY task_id COLLATE "C"`,
  );
  return rows.map((row) => row.task_id);
}

it('admits in the order of the calls exactly as many as there is room for', async () => {
  const storage = await open();
  await createAll(storage, tasks('before', 3));
  // The order of the ids is another one, so that it is not by chance the order of admission.
  const wanted = tasks('z', 10).toReversed();
  const answers = await createAll(storage, wanted, { maxActiveTasks: 7 });
  expect(answers).toEqual([...Array(4).fill(true), ...Array(6).fill(active(7, 7))]);
  expect(await storedIds()).toEqual([
    ...tasks('before', 3).map(({ taskId }) => taskId),
    'z-6',
    'z-7',
    'z-8',
    'z-9',
  ]);
});

it('has room for each tenant, and none of it taken by the refused of another', async () => {
  const storage = await open();
  await createAll(storage, tasks('before', 1, 'a'));
  const wanted = [
    ...tasks('a', 3, 'a'),
    ...tasks('b', 3, 'b'),
    ...tasks('c', 1, 'c'),
    ...tasks('d', 1, 'd'),
  ];
  const limits = { maxActiveTasksPerTenant: 2, maxActiveTasks: 5 };
  expect(await createAll(storage, wanted, limits)).toEqual([
    true,
    active(2, 2, 'tasks of the tenant'),
    active(2, 2, 'tasks of the tenant'),
    true,
    true,
    active(2, 2, 'tasks of the tenant'),
    true,
    active(5, 5),
  ]);
});

it('has no room for taken ids, and needs none for them', async () => {
  const storage = await open();
  await createAll(storage, tasks('taken', 2));
  const [first, second] = tasks('new', 2);
  const wanted = [
    ...tasks('taken', 2),
    { taskId: 'new-0', tenantId: 'other' },
    first ?? { taskId: '' },
    ...tasks('taken', 1),
    second ?? { taskId: '' },
    ...tasks('taken', 1, 'other'),
  ];
  expect(await createAll(storage, wanted, { maxActiveTasks: 3 })).toEqual([
    false,
    false,
    true,
    false,
    false,
    active(3, 3),
    false,
  ]);
});

it('keeps apart those who create at once under different limits', async () => {
  const storage = await open();
  const answers = await Promise.all([
    createAll(storage, tasks('a', 3), { maxActiveTasks: 2 }),
    createAll(storage, tasks('b', 3), { maxActiveTasks: 4 }),
    createAll(storage, tasks('c', 3), { maxActiveTasksPerTenant: 5 }),
    createAll(storage, tasks('d', 2), { maxActiveTasks: 0 }),
    createAll(storage, tasks('e', 2, 'other'), { maxActiveTasksPerTenant: 1 }),
  ]);
  expect(answers).toEqual([
    [true, true, active(2, 2)],
    [true, true, active(4, 4)],
    [true, active(5, 5, 'tasks of the tenant'), active(5, 5, 'tasks of the tenant')],
    [active(5, 0), active(5, 0)],
    [true, active(1, 1, 'tasks of the tenant')],
  ]);
});

it('is never exceeded by two storages that race', async () => {
  const storages = [await open(), await open()] as const;
  const limits = { maxActiveTasks: 25, maxActiveTasksPerTenant: 20 };
  const answers = await Promise.all(
    ['a', 'b'].flatMap((tenant) =>
      storages.map(async (storage, index) =>
        createAll(storage, tasks(`${tenant}-${index}`, 40, tenant), limits),
      ),
    ),
  );
  expect(answers.flat().filter((answer) => answer === true)).toHaveLength(25);
  expect(answers.flat()).not.toContain(false);
  const rows = await postgres.database.query<{ count: number }>(
    `SELECT COUNT(*)::int AS count FROM agent_tasks GROUP BY tenant_id`,
  );
  expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(25);
  expect(Math.max(...rows.map(({ count }) => count))).toBeLessThanOrEqual(20);
});

it('never says that an id is taken because another of the burst was', async () => {
  const storage = await open();
  let creating: Promise<unknown[]> | undefined;
  await besideTransaction(
    postgres.database.connectionString,
    // Somebody who creates without a limit takes an id after it was looked for.
    `INSERT INTO agent_tasks (task_id, status, query, max_steps) VALUES ('x-0', 'pending', 'q', 1)`,
    async (commit) => {
      creating = createAll(storage, tasks('x', 2), { maxActiveTasks: 1 });
      await eventually(
        async () => postgres.database.query('SELECT 1 FROM pg_locks WHERE NOT granted'),
        (waiting) => waiting.length > 0,
      );
      await commit();
    },
  );
  expect(await creating).toEqual([false, active(1, 1)]);
});
