import { expect, it, jest } from '@jest/globals';
import pg from 'pg';
import { besideTransaction } from '../support/beside-transaction.js';
import { outcomeOf } from '../support/outcome-of.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const postgres = usePostgresStorages();
const { open } = postgres;

function idsOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

function newTask(taskId: string) {
  return { taskId, query: 'q', maxSteps: 1 };
}

it('answers neighbours of locked tasks and of refused values while the tasks are locked', async () => {
  const storage = await open({ lockTimeoutMs: 20_000, connectTimeoutMs: 1_000 });
  const ids = idsOf('task', 16);
  await Promise.all(ids.map(async (id) => storage.createTask(newTask(id))));
  await postgres.database.query(
    `ALTER TABLE agent_tasks ADD CONSTRAINT no_evil CHECK (result <> 'evil')`,
  );
  await besideTransaction(
    postgres.database.connectionString,
    `SELECT * FROM agent_tasks WHERE task_id IN ('task-0', 'task-1', 'task-2') FOR UPDATE`,
    async (release) => {
      const calls = ids.map(async (id, index) =>
        outcomeOf(storage.updateTask(id, { result: index === 8 ? 'evil' : 'good' })),
      );
      const neighbours = await Promise.all(calls.slice(3));
      await release();
      await Promise.all(calls);
      expect(neighbours).toEqual(ids.slice(3).map((id) => (id === 'task-8' ? 'INTERNAL' : true)));
    },
  );
});

it.each([undefined, { maxActiveTasks: 100 }])(
  'creates the neighbours of an id that another session is creating (options: %j)',
  async (options) => {
    const storage = await open({ lockTimeoutMs: 4_000, connectTimeoutMs: 3_000 });
    const ids = idsOf('task', 16);
    await besideTransaction(
      postgres.database.connectionString,
      `INSERT INTO agent_tasks (task_id, status, query, max_steps) VALUES ('task-3', 'pending', 'q', 1)`,
      async () => {
        const outcomes = await Promise.all(
          ids.map(async (id) => outcomeOf(storage.createTask(newTask(id), options))),
        );
        expect(outcomes).toEqual(ids.map((id) => (id === 'task-3' ? 'UNAVAILABLE' : true)));
      },
    );
  },
);

it('reads a large task that compresses well beside no other', async () => {
  const storage = await open();
  const ids = idsOf('large', 8);
  for (const taskId of ids) {
    await storage.createTask({
      ...newTask(taskId),
      requestData: { text: 'a'.repeat(5_000_000) },
    });
  }
  await storage.createTask(newTask('small'));
  const bytes: number[] = [];
  const original: (...sent: readonly unknown[]) => unknown = Reflect.get(
    pg.Client.prototype,
    'query',
  );
  const query = jest.spyOn(pg.Client.prototype, 'query');
  query.mockImplementation(function (this: pg.Client, ...sent: readonly unknown[]) {
    const withMeasure = sent.map((argument) =>
      typeof argument === 'function'
        ? (error: unknown, answer: unknown): void => {
            bytes.push((JSON.stringify(answer) ?? '').length);
            argument(error, answer);
          }
        : argument,
    );
    return Reflect.apply(original, this, withMeasure);
  });
  try {
    await Promise.all([...ids, 'small'].map(async (id) => storage.getTask(id)));
    expect(Math.max(...bytes)).toBeGreaterThan(5_000_000);
    expect(Math.max(...bytes)).toBeLessThan(10_000_000);
  } finally {
    query.mockRestore();
  }
});

it('answers neighbours of a task that cannot be read', async () => {
  const storage = await open();
  const ids = idsOf('read', 32);
  await Promise.all(ids.map(async (taskId) => storage.createTask(newTask(taskId))));
  await postgres.database.query(
    `UPDATE agent_tasks SET queued_at = 'infinity' WHERE task_id = 'read-7'`,
  );
  const read = await Promise.all(
    ids.map(async (taskId) => outcomeOf(storage.getTask(taskId).then((task) => task?.taskId))),
  );
  expect(read).toEqual(ids.map((taskId) => (taskId === 'read-7' ? 'CORRUPT' : taskId)));
});
