import pg from 'pg';
import { In, LessThanOrEqual } from 'typeorm';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { wrongAnswer } from '../contenders/contender.js';
import { connectTypeOrm, taskEntity } from '../contenders/typeorm-repository.js';
import { alternate, alternateOperations } from '../measure/alternation.js';
import type { Operation, Turn } from '../measure/closed-loop.js';
import type { BenchOptions } from '../options.js';
import { loadPostgresBackend } from '../product-build.js';
import { ACTIVE_TASKS, ENDED_TASKS, loadLargeTable } from './large-table.js';
import type { BenchRow } from './row.js';

const PAGE_SIZE = 100;
const FAR_PAGE = 5_000;
const LARGEST_PAGE = 1_000;
const CLEANUP_SIZE = 5_000;
const POOL_SIZE = 10;

const LIST = `SELECT * FROM agent_tasks ORDER BY created_at DESC, task_id COLLATE "C" DESC LIMIT 100`;
const LIST_AFTER = `SELECT * FROM agent_tasks
  WHERE (created_at, task_id COLLATE "C") < ($1, $2)
  ORDER BY created_at DESC, task_id COLLATE "C" DESC LIMIT 100`;

/** Lists, counts and cleans a table of a million ended tasks. */
export async function measureLargeTable(
  url: string,
  options: BenchOptions,
): Promise<readonly BenchRow[]> {
  const { createPostgresTaskStorage } = await loadPostgresBackend();
  const storage = await createPostgresTaskStorage({
    connectionString: url,
    statementTimeoutMs: 60_000,
  });
  await loadLargeTable(url, ENDED_TASKS);
  const pool = new pg.Pool({ connectionString: url, max: POOL_SIZE });
  const orm = await connectTypeOrm(url, POOL_SIZE);
  const tasks = orm.getRepository(taskEntity);
  const far = await findFarPage(storage, pool);
  const order = { createdAt: 'DESC', taskId: 'DESC' } as const;
  const works: Readonly<Record<string, Record<string, Operation>>> = {
    'list page 1': {
      product: async () => expectPage(await storage.listTasks({ limit: PAGE_SIZE }), 'active-9'),
      'node-postgres': async () => pool.query({ name: 'list', text: LIST }),
      typeorm: async () => tasks.find({ order, take: PAGE_SIZE }),
    },
    'list page 5,000': {
      product: async () => {
        const page = { limit: PAGE_SIZE, pageToken: far.pageToken };
        expectPage(await storage.listTasks(page), far.firstTaskId);
      },
      'node-postgres': async () =>
        pool.query({ name: 'after', text: LIST_AFTER, values: [far.createdAt, far.taskId] }),
      // In turns with the first page, which it is compared with.
      'page 1': async () => storage.listTasks({ limit: PAGE_SIZE }),
      typeorm: async () => tasks.find({ order, take: PAGE_SIZE, skip: PAGE_SIZE * FAR_PAGE }),
    },
    'count active': {
      product: async () => expectCount(await storage.countActiveTasks()),
      'SELECT 1': async () => pool.query({ name: 'one', text: 'SELECT 1' }),
      typeorm: async () => expectCount(await tasks.countBy({ status: In(['pending', 'running']) })),
    },
  };
  const rows: BenchRow[] = [];
  for (const [work, operations] of Object.entries(works)) {
    for (const callers of options.callers.filter((count) => count <= 64)) {
      // TypeORM skips the pages before one by one, which takes so long that one caller tells enough.
      const { typeorm, ...others } = operations;
      const all = callers === 1 && typeorm !== undefined ? operations : others;
      const measured = await alternateOperations(all, callers, options);
      rows.push({ work, backend: 'Postgres', callers, ...measured });
    }
  }
  rows.push(await measureCleanup(storage, pool, orm, options));
  await Promise.all([storage.close(), pool.end(), orm.destroy()]);
  return rows;
}

interface FarPage {
  readonly pageToken: string;
  /** The task before it. */
  readonly createdAt: string;
  readonly taskId: string;
  readonly firstTaskId: string;
}

/** Walks there in larger pages; on the way each task must come exactly once, in order. */
async function findFarPage(storage: TaskStorage, pool: pg.Pool): Promise<FarPage> {
  let pageToken: string | undefined;
  let taskId = '';
  let next = 1;
  for (let seen = 0; seen < FAR_PAGE * PAGE_SIZE; seen += LARGEST_PAGE) {
    const page = await storage.listTasks({ limit: LARGEST_PAGE, pageToken, view: 'summary' });
    const ended = page.tasks.filter((task) => task.status === 'finished');
    if (ended.some((task, index) => task.taskId !== `ended-${next + index}`)) {
      wrongAnswer('product', `the page after ${seen} tasks is not the next one`);
    }
    next += ended.length;
    taskId = page.tasks.at(-1)?.taskId ?? '';
    pageToken = page.nextPageToken ?? undefined;
  }
  const { rows } = await pool.query<{ created_at: string }>(
    'SELECT created_at::text FROM agent_tasks WHERE task_id = $1',
    [taskId],
  );
  const createdAt = rows[0]?.created_at ?? '';
  return { pageToken: pageToken ?? '', createdAt, taskId, firstTaskId: `ended-${next}` };
}

function expectPage(
  { tasks }: { readonly tasks: readonly { readonly taskId: string }[] },
  firstTaskId: string,
): void {
  if (tasks.length !== PAGE_SIZE || tasks[0]?.taskId !== firstTaskId) {
    wrongAnswer('product', `a page begins with ${tasks[0]?.taskId} and not with ${firstTaskId}`);
  }
}

function expectCount(count: number): void {
  if (count !== ACTIVE_TASKS) {
    wrongAnswer('product', `${ACTIVE_TASKS} tasks are active, ${count} were counted`);
  }
}

/** Deletes the oldest tasks, so many in each turn, each contender in the way that suits it. */
async function measureCleanup(
  storage: TaskStorage,
  pool: pg.Pool,
  orm: Awaited<ReturnType<typeof connectTypeOrm>>,
  { rounds }: BenchOptions,
): Promise<BenchRow> {
  const tasks = orm.getRepository(taskEntity);
  const turn = async (clean: () => Promise<number | null | undefined>): Promise<Turn> => {
    const begin = performance.now();
    const deleted = await clean();
    const tookMs = performance.now() - begin;
    if (deleted !== CLEANUP_SIZE) {
      wrongAnswer('cleanup', `${CLEANUP_SIZE} tasks were to be deleted, not ${deleted}`);
    }
    return { operationsPerSecond: (CLEANUP_SIZE * 1000) / tookMs, latenciesMs: [tookMs] };
  };
  const measured = await alternate(
    {
      product: async () => turn(async () => storage.cleanupOldTasks(0, { limit: CLEANUP_SIZE })),
      'node-postgres': async () =>
        turn(async () => {
          const { rowCount } = await pool.query(
            `DELETE FROM agent_tasks WHERE task_id IN (
               SELECT task_id FROM agent_tasks WHERE status IN ('finished', 'error', 'cancelled')
                 AND finished_at <= NOW() ORDER BY finished_at LIMIT $1)`,
            [CLEANUP_SIZE],
          );
          return rowCount;
        }),
      typeorm: async () => {
        const [last] = await tasks.find({
          where: { status: 'finished' },
          order: { finishedAt: 'ASC' },
          skip: CLEANUP_SIZE - 1,
          take: 1,
        });
        const finishedAt = LessThanOrEqual(last?.finishedAt ?? new Date(0));
        return turn(async () => (await tasks.delete({ status: 'finished', finishedAt })).affected);
      },
    },
    rounds,
  );
  return { work: `cleanup of ${CLEANUP_SIZE}`, backend: 'Postgres', callers: 1, ...measured };
}

/** Lists in memory, among few tasks and among many. */
export async function measureMemoryLists(
  create: () => TaskStorage,
  { rounds, turnMs }: BenchOptions,
): Promise<readonly BenchRow[]> {
  const storages = new Map<string, TaskStorage>();
  for (const count of [100_000, 1_000]) {
    const storage = create();
    for (let index = 0; index < count; index += 1) {
      await storage.createTask({ taskId: `task-${index}`, query: 'q', maxSteps: 1 });
    }
    storages.set(`among ${count}`, storage);
  }
  const operations = [...storages].map(([name, storage]): [string, Operation] => [
    name,
    async () => {
      const { tasks } = await storage.listTasks({ limit: 10 });
      if (tasks.length !== 10) {
        wrongAnswer(name, `a page of 10 has ${tasks.length} tasks`);
      }
    },
  ]);
  const measured = await alternateOperations(Object.fromEntries(operations), 1, {
    rounds,
    turnMs: turnMs / 4,
  });
  return [{ work: 'list 10', backend: 'memory', callers: 1, ...measured }];
}
