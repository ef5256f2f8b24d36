import { describe, expect, it } from '@jest/globals';
import type { TaskOperations, TaskStorage } from '../../src/task/task-storage.js';
import { besideTransaction } from '../support/beside-transaction.js';
import { eventually } from '../support/eventually.js';
import { outcomeOf } from '../support/outcome-of.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const postgres = usePostgresStorages();
const { open } = postgres;

function idsOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** Creates tasks at once. @returns what each came to */
async function createAll(storage: TaskOperations, ids: readonly string[]): Promise<unknown[]> {
  return Promise.all(
    ids.map(async (taskId) =>
      outcomeOf(storage.createTask({ taskId, query: `query of ${taskId}`, maxSteps: 5 })),
    ),
  );
}

const EVENT = { stage: 'planning', message: 'one' };

async function lockWaits(): Promise<number> {
  return (await postgres.database.query('SELECT 1 FROM pg_locks WHERE NOT granted')).length;
}

async function besideLocked(
  ids: readonly string[],
  work: (release: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const list = ids.map((id) => `'${id}'`).join(', ');
  await besideTransaction(
    postgres.database.connectionString,
    `SELECT * FROM agent_tasks WHERE task_id IN (${list}) FOR UPDATE`,
    work,
  );
}

describe('a task that another session has locked', () => {
  it('is waited for alone: its neighbours are answered meanwhile', async () => {
    const storage = await open({ lockTimeoutMs: 20_000 });
    const ids = idsOf('task', 40);
    await createAll(storage, ids);
    const [locked = '', ...others] = ids;
    let waiting: Promise<unknown> | undefined;
    await besideLocked([locked], async (release) => {
      let isAnswered = false;
      const neighbours = others.slice(0, 20).map(async (id) => storage.appendEvents(id, [EVENT]));
      waiting = storage.updateTask(locked, { result: 'first' }).finally(() => (isAnswered = true));
      const follower = storage.appendEvents(locked, [EVENT]);
      neighbours.push(...others.slice(20).map(async (id) => storage.appendEvents(id, [EVENT])));
      const refused = [
        outcomeOf(storage.updateTask('missing', {})),
        outcomeOf(storage.updateTask('task-1', {}, { expectedVersion: 9 })),
        outcomeOf(storage.updateTask('task-2', { status: 'finished' })),
        outcomeOf(storage.getTask(locked).then((task) => task?.version)),
      ];
      expect(await Promise.all(neighbours)).toEqual(others.map(() => 1));
      expect(await Promise.all(refused)).toEqual([false, 'CONFLICT', 'ILLEGAL_TRANSITION', 1]);
      await eventually(lockWaits, (waits) => waits > 0);
      expect(isAnswered).toBe(false);
      await release();
      expect(await waiting).toBe(true);
      expect(await follower).toBe(1);
    });
  });

  it('is unavailable when it stays locked, and so is no other', async () => {
    const storage = await open({ lockTimeoutMs: 50 });
    const ids = idsOf('task', 20);
    await createAll(storage, ids);
    const locked = new Set(['task-4', 'task-7']);
    await besideLocked([...locked], async () => {
      const outcomes = await Promise.all(
        ids.map(async (id) => outcomeOf(storage.updateTask(id, { result: id }))),
      );
      expect(outcomes).toEqual(ids.map((id) => (locked.has(id) ? 'UNAVAILABLE' : true)));
    });
    expect(await storage.updateTask('task-4', { result: 'later' })).toBe(true);
  });

  it('does not keep others from being refused, however many are locked', async () => {
    const storage = await open({ lockTimeoutMs: 20_000 });
    const locked = idsOf('locked', 6);
    await createAll(storage, [...locked, 'free']);
    let waiting: Promise<unknown[]> | undefined;
    await besideLocked(locked, async (release) => {
      waiting = Promise.all(locked.map(async (id) => outcomeOf(storage.updateTask(id, {}))));
      await eventually(lockWaits, (waits) => waits > 0);
      const refused = await Promise.all([
        outcomeOf(storage.updateTask('missing', {})),
        outcomeOf(storage.updateTask('free', {}, { expectedVersion: 9 })),
        outcomeOf(storage.appendEvents('missing', [EVENT])),
      ]);
      await release();
      expect(refused).toEqual([false, 'CONFLICT', null]);
    });
    expect(await waiting).toEqual(locked.map(() => true));
  });
});

describe('values that only Postgres refuses', () => {
  it.each([undefined, { maxActiveTasks: 100 }])(
    'harm no neighbour when they create (options: %j)',
    async (options) => {
      const storage = await open();
      await postgres.database.query(
        `ALTER TABLE agent_tasks ADD CONSTRAINT no_evil CHECK (query <> 'evil')`,
      );
      const ids = idsOf('task', 30);
      const isEvil = (index: number): boolean => index === 3 || index === 20;
      const outcomes = await Promise.all(
        ids.map(async (taskId, index) =>
          outcomeOf(
            storage.createTask(
              { taskId, query: isEvil(index) ? 'evil' : 'good', maxSteps: 5 },
              { ...options, events: [EVENT] },
            ),
          ),
        ),
      );
      expect(outcomes).toEqual(ids.map((_, index) => (isEvil(index) ? 'INTERNAL' : true)));
      const stored = await Promise.all(ids.map(async (id) => storage.getTask(id)));
      expect(stored.map((task) => task?.lastEventSequence ?? null)).toEqual(
        ids.map((_, index) => (isEvil(index) ? null : 1)),
      );
    },
  );

  it('harm no neighbour when they change, and nothing of theirs is kept', async () => {
    const storage = await open();
    const ids = idsOf('task', 30);
    await createAll(storage, ids);
    await postgres.database.query(
      `ALTER TABLE agent_tasks ADD CONSTRAINT no_evil CHECK (result <> 'evil')`,
    );
    const outcomes = await Promise.all(
      ids.map(async (id, index) =>
        outcomeOf(
          storage.updateTask(id, { result: index === 5 ? 'evil' : 'good' }, { events: [EVENT] }),
        ),
      ),
    );
    expect(outcomes).toEqual(ids.map((_, index) => (index === 5 ? 'INTERNAL' : true)));
    const stored = await Promise.all(ids.map(async (id) => storage.getTask(id)));
    expect(stored.map((task) => [task?.result, task?.version, task?.lastEventSequence])).toEqual(
      ids.map((_, index) => (index === 5 ? [null, 1, 0] : ['good', 2, 1])),
    );
  });
});

describe('sessions that end in the middle of a burst', () => {
  async function endSessions(): Promise<void> {
    await postgres.database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'nestjs-task-storage' AND datname = current_database()`,
    );
  }

  it('leave no call without an answer, and nothing acknowledged that is not there', async () => {
    const storage = await open({ lockTimeoutMs: 20_000 });
    const ids = idsOf('task', 300);
    await createAll(storage, ids);
    const newIds = idsOf('new', 300);
    let outcomes: Promise<unknown[][]> | undefined;
    // Writes wait for the table, so that some of them are under way for certain.
    await besideTransaction(
      postgres.database.connectionString,
      'LOCK TABLE agent_tasks IN EXCLUSIVE MODE',
      async (release) => {
        outcomes = Promise.all([
          createAll(storage, newIds),
          Promise.all(ids.map(async (id) => outcomeOf(storage.updateTask(id, { result: id })))),
          Promise.all(ids.map(async (id) => outcomeOf(storage.appendEvents(id, [EVENT])))),
        ]);
        await eventually(lockWaits, (waits) => waits > 1);
        await endSessions();
        await release();
      },
    );
    const [created = [], updated = [], appended = []] = (await outcomes) ?? [];
    const known = [true, 1, 'UNAVAILABLE'];
    expect(
      [...created, ...updated, ...appended].filter(
        (outcome) => !known.some((one) => one === outcome),
      ),
    ).toEqual([]);
    expect(created).toContain('UNAVAILABLE');
    expect(updated).toContain('UNAVAILABLE');
    const find = async (all: string[]) =>
      eventually(
        async () => Promise.all(all.map(async (id) => storage.getTask(id))).catch(() => null),
        (found) => found !== null,
      );
    const [tasks, newTasks] = [await find(ids), await find(newIds)];
    const lost = [
      ...newIds.filter((_, index) => created[index] === true && newTasks?.[index] === null),
      ...ids.filter((id, index) => updated[index] === true && tasks?.[index]?.result !== id),
      ...ids.filter((_, index) => appended[index] === 1 && tasks?.[index]?.lastEventSequence !== 1),
    ];
    expect(lost).toEqual([]);
  });
});

describe('closing during a burst', () => {
  async function burst(storage: TaskStorage, ids: readonly string[]): Promise<unknown[]> {
    return Promise.all(
      ids.map(async (taskId, index) => {
        const task = { taskId, query: 'q', maxSteps: 1 };
        return outcomeOf(
          index % 2 === 0
            ? storage.createTask(task)
            : storage.createTask(task, { maxActiveTasks: 100_000 }),
        );
      }),
    );
  }

  it('lets all calls be answered that came before, and refuses those that come later', async () => {
    const storage = await open();
    const ids = idsOf('task', 600);
    const before = burst(storage, ids);
    const changes = ids
      .slice(0, 50)
      .map(async (id) => outcomeOf(storage.updateTask(`missing-${id}`, {})));
    const closing = storage.close();
    const after = burst(storage, idsOf('late', 20));
    expect(await before).toEqual(ids.map(() => true));
    expect(await Promise.all(changes)).toEqual(changes.map(() => false));
    expect(await after).toEqual(Array(20).fill('UNAVAILABLE'));
    await closing;
    const rows = await postgres.database.query('SELECT task_id FROM agent_tasks');
    expect(rows).toHaveLength(600);
  });
});
