import pg from 'pg';
import type { TaskStorage } from '../../src/task/task-storage.js';
import {
  mixedOperation,
  MAX_STEPS,
  OPERATION_NAMES,
  OWN_TASKS,
  QUERY,
  REQUEST_DATA,
  wrongAnswer,
  type Contender,
  type OperationName,
} from '../contenders/contender.js';
import { nodePostgresContender } from '../contenders/node-postgres.js';
import { productContender } from '../contenders/product.js';
import { connectTypeOrm, typeOrmContender } from '../contenders/typeorm-repository.js';
import { alternateOperations } from '../measure/alternation.js';
import type { Operation } from '../measure/closed-loop.js';
import type { BenchOptions } from '../options.js';
import { loadPackage, loadPostgresBackend } from '../product-build.js';
import type { BenchRow } from './row.js';

/** As many connections for each contender as the product takes by default. */
const POOL_SIZE = 10;

function operationOf(contender: Contender, name: OperationName): Operation {
  return name === 'mixed' ? mixedOperation(contender) : contender.operations[name];
}

/** Single tasks on Postgres: the product, the driver, and TypeORM's repository. */
export async function measurePostgresOperations(
  url: string,
  options: BenchOptions,
): Promise<readonly BenchRow[]> {
  const { createPostgresTaskStorage } = await loadPostgresBackend();
  const storage = await createPostgresTaskStorage({ connectionString: url, poolSize: POOL_SIZE });
  const pool = new pg.Pool({ connectionString: url, max: POOL_SIZE });
  const contenders = [
    productContender(storage),
    nodePostgresContender(pool),
    typeOrmContender(await connectTypeOrm(url, POOL_SIZE)),
  ];
  for (const { name } of contenders) {
    await insertTasks(pool, name);
  }
  await pool.query('VACUUM ANALYZE agent_tasks');
  const rows: BenchRow[] = [];
  for (const work of OPERATION_NAMES) {
    for (const callers of options.callers) {
      const operations = contenders.map((one) => [one.name, operationOf(one, work)]);
      const measured = await alternateOperations(Object.fromEntries(operations), callers, options);
      rows.push({ work, backend: 'Postgres', callers, ...measured });
    }
  }
  for (const contender of contenders) {
    await checkTable(pool, contender);
  }
  await Promise.all(contenders.map(async (contender) => contender.close()));
  return rows;
}

/** Single tasks in memory: the product alone. */
export async function measureMemoryOperations(options: BenchOptions): Promise<readonly BenchRow[]> {
  const { createMemoryTaskStorage } = await loadPackage();
  const rows: BenchRow[] = [];
  for (const work of OPERATION_NAMES) {
    for (const callers of options.callers) {
      const storage = createMemoryTaskStorage({ maxTasks: 10_000_000 });
      const contender = productContender(storage);
      for (let index = 0; index < OWN_TASKS; index += 1) {
        const taskId = `${contender.name}-${index}`;
        await storage.createTask({
          taskId,
          query: QUERY,
          maxSteps: MAX_STEPS,
          requestData: REQUEST_DATA,
        });
      }
      const operations = { product: operationOf(contender, work) };
      // A tenth of the time: nothing is shared with another process, so that it is steadier.
      const measured = await alternateOperations(operations, callers, {
        rounds: options.rounds,
        turnMs: options.turnMs / 10,
      });
      rows.push({ work, backend: 'memory', callers, ...measured });
      await checkMemory(storage, contender);
      await storage.close();
    }
  }
  return rows;
}

async function insertTasks(pool: pg.Pool, name: string): Promise<void> {
  await pool.query(
    `INSERT INTO agent_tasks (task_id, status, query, max_steps, request_data)
     SELECT $1 || '-' || n, 'running', $2, $3, $4 FROM generate_series(0, ${OWN_TASKS - 1}) AS n`,
    [name, QUERY, MAX_STEPS, JSON.stringify(REQUEST_DATA)],
  );
}

/** What was acknowledged must be there, task by task, no less and no more, each event in its place. */
async function checkTable(pool: pg.Pool, { name, acknowledged }: Contender): Promise<void> {
  const { created, updates, events } = acknowledged;
  const { rows } = await pool.query<Record<'task_id' | 'updates' | 'last' | 'events', string>>(
    `SELECT task_id, (version - 1)::text AS updates, last_event_sequence::text AS last,
       (SELECT COUNT(*)::text FROM agent_tasks_events AS event
        WHERE event.task_id = task.task_id) AS events
     FROM agent_tasks AS task WHERE starts_with(task_id, $1 || '-')`,
    [name],
  );
  if (rows.length !== OWN_TASKS + created.size) {
    wrongAnswer(name, `${created.size} tasks were created, ${rows.length - OWN_TASKS} are there`);
  }
  const found = new Set(rows.map((row) => row.task_id));
  for (const taskId of created) {
    if (!found.has(taskId)) {
      wrongAnswer(name, `${taskId} was created and is not there`);
    }
  }
  for (const row of rows) {
    const expected = [updates.get(row.task_id) ?? 0, events.get(row.task_id) ?? 0];
    // As many events as the last sequence says, each with one of its own: none is missing.
    const isRight =
      Number(row.updates) === expected[0] &&
      Number(row.last) === expected[1] &&
      Number(row.events) === expected[1];
    if (!isRight) {
      wrongAnswer(
        name,
        `${row.task_id} has ${row.updates} updates and ${row.events} events, not ${expected.join(' and ')}`,
      );
    }
  }
}

async function checkMemory(storage: TaskStorage, { name, acknowledged }: Contender): Promise<void> {
  const expected = OWN_TASKS + acknowledged.created.size;
  const active = await storage.countActiveTasks();
  if (active !== expected) {
    wrongAnswer(name, `${expected} tasks were created, ${active} are there`);
  }
}
