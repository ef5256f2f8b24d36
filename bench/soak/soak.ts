import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { runCallers } from '../measure/closed-loop.js';
import { quantile } from '../measure/statistics.js';
import { loadPostgresBackend } from '../product-build.js';
import { formatTable } from '../report/table.js';
import { loadLargeTable } from '../rows/large-table.js';

/** Tasks of one round; each is created, runs, and ends with some events. */
const TASKS_PER_ROUND = 4_000;
const EVENTS_PER_TASK = 5;
/** Ended tasks are kept for so many rounds. */
const KEPT_ROUNDS = 3;
const CONCURRENT_TASKS = 64;
/** How much larger the last third of the rounds may be than the third before. */
const MAX_GROWTH = 1.1;
/** How much slower a read may be while a large table is cleaned. */
const MAX_SLOWDOWN = 3;
/** So long it is read before a cleanup, and again after it: whatever else the machine does befalls both. */
const IDLE_MS = 5_000;
/** Fewer reads than the server could answer: what is measured is what a cleanup adds. */
const READ_EVERY_MS = 2;

interface Sizes {
  readonly table: number;
  readonly indexes: number;
}

/** Shows that tables and indexes do not grow for ever. @returns what is wrong */
export async function levelsOff(
  url: string,
  rounds: number,
  print: (text: string) => void,
): Promise<readonly string[]> {
  const { createPostgresTaskStorage } = await loadPostgresBackend();
  const storage = await createPostgresTaskStorage({ connectionString: url });
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  const sizes: Sizes[] = [];
  const lines: string[][] = [];
  for (let round = 0; round < rounds; round += 1) {
    const begin = performance.now();
    await runTasks(storage, round);
    // Rounds stand for days: what ended before the rounds that are kept is a day old.
    await pool.query(
      `UPDATE agent_tasks SET finished_at = NOW() - INTERVAL '1 day 1 hour'
       WHERE starts_with(task_id, $1)`,
      [`round-${round - KEPT_ROUNDS}-`],
    );
    const deleted = await storage.cleanupOldTasks(1);
    const size = await measureSizes(pool);
    sizes.push(size);
    lines.push([
      String(round + 1),
      megabytes(size.table),
      megabytes(size.indexes),
      String(deleted),
      ((performance.now() - begin) / 1000).toFixed(1),
    ]);
  }
  print(formatTable(['round', 'table MB', 'indexes MB', 'deleted', 'seconds'], lines));
  await Promise.all([storage.close(), pool.end()]);
  return (['table', 'indexes'] as const).flatMap((part) => {
    const third = Math.floor(rounds / 3);
    const mean = (from: number, to: number): number =>
      sizes.slice(from, to).reduce((sum, size) => sum + size[part], 0) / (to - from);
    const growth = mean(rounds - third, rounds) / mean(rounds - 2 * third, rounds - third);
    print(`${part}: the last third of the rounds is ${growth.toFixed(2)} of the third before`);
    return growth <= MAX_GROWTH ? [] : [`the ${part} grew by a factor of ${growth.toFixed(2)}`];
  });
}

async function runTasks(storage: TaskStorage, round: number): Promise<void> {
  let next = 0;
  const runOne = async (): Promise<void> => {
    while (next < TASKS_PER_ROUND) {
      const taskId = `round-${round}-${(next += 1)}`;
      await storage.createTask({ taskId, query: 'Open the calculator', maxSteps: 50 });
      await storage.updateTask(taskId, { status: 'running' });
      for (let event = 0; event < EVENTS_PER_TASK; event += 1) {
        await storage.appendEvents(taskId, [{ stage: 'acting', message: `Step ${event}` }]);
      }
      const statistics = { executionStatistics: { steps: EVENTS_PER_TASK } };
      await storage.updateTask(taskId, { status: 'finished', result: '4', ...statistics });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_TASKS }, runOne));
}

async function measureSizes(pool: pg.Pool): Promise<Sizes> {
  const { rows } = await pool.query<{ table: string; indexes: string }>(
    `SELECT SUM(pg_table_size(name))::text AS table, SUM(pg_indexes_size(name))::text AS indexes
     FROM (VALUES ('agent_tasks'::regclass), ('agent_tasks_events'::regclass)) AS tables (name)`,
  );
  return { table: Number(rows[0]?.table), indexes: Number(rows[0]?.indexes) };
}

/** Shows that a cleanup leaves readers alone. @returns what is wrong */
export async function readsWhileCleaning(
  url: string,
  endedTasks: number,
  print: (text: string) => void,
): Promise<readonly string[]> {
  const { createPostgresTaskStorage } = await loadPostgresBackend();
  const storage = await createPostgresTaskStorage({ connectionString: url });
  await loadLargeTable(url, endedTasks);
  const read = async (): Promise<void> => {
    const taskId = `active-${1 + Math.floor(Math.random() * 20)}`;
    if ((await storage.getTask(taskId))?.taskId !== taskId) {
      throw new Error('A read answered wrongly');
    }
  };
  await runCallers(read, 1, IDLE_MS / 5);
  return compare(storage, endedTasks, read, print);
}

async function readIdle(read: () => Promise<void>): Promise<number[]> {
  const until = performance.now() + IDLE_MS;
  return readAtRate(read, () => performance.now() < until);
}

/** Reads at a steady rate for as long as the condition holds. @returns how long each took */
async function readAtRate(read: () => Promise<void>, goesOn: () => boolean): Promise<number[]> {
  const latenciesMs: number[] = [];
  while (goesOn()) {
    const before = performance.now();
    await read();
    const tookMs = performance.now() - before;
    latenciesMs.push(tookMs);
    await delay(Math.max(0, READ_EVERY_MS - tookMs));
  }
  return latenciesMs;
}

async function compare(
  storage: TaskStorage,
  endedTasks: number,
  read: () => Promise<void>,
  print: (text: string) => void,
): Promise<readonly string[]> {
  const idleBefore = await readIdle(read);
  let isCleaning = true;
  const begin = performance.now();
  const cleaned = storage.cleanupOldTasks(0).finally(() => {
    isCleaning = false;
  });
  const during = await readAtRate(read, () => isCleaning);
  const deleted = await cleaned;
  const tookSeconds = (performance.now() - begin) / 1000;
  const idle = [...idleBefore, ...(await readIdle(read))];
  await storage.close();
  const before = quantile(idle, 0.99);
  const meanwhile = quantile(during, 0.99);
  const slowdown = meanwhile / before;
  print(
    `cleanup of ${deleted} tasks: ${tookSeconds.toFixed(1)} s; p99 of getTask ${before.toFixed(2)} ms idle (${idle.length} reads), ${meanwhile.toFixed(2)} ms meanwhile (${during.length} reads): ${slowdown.toFixed(2)} times`,
  );
  return [
    ...(deleted === endedTasks ? [] : [`${deleted} of ${endedTasks} ended tasks were deleted`]),
    ...(slowdown <= MAX_SLOWDOWN
      ? []
      : [`a cleanup makes reads ${slowdown.toFixed(2)} times slower`]),
  ];
}

function megabytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
