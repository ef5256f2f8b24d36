import { describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import { DataSource } from 'typeorm';
import type { TaskStorage } from '../../src/task/task-storage.js';
import type { NewTask } from '../../src/task/task.js';
import { besideTransaction } from '../support/beside-transaction.js';
import { outcomeOf } from '../support/outcome-of.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const postgres = usePostgresStorages();
const { open } = postgres;

function newTask(taskId: string, fields: Partial<NewTask> = {}): NewTask {
  return { taskId, query: `query of ${taskId}`, maxSteps: 5, ...fields };
}

function idsOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

async function createAll(storage: TaskStorage, ids: readonly string[]): Promise<unknown[]> {
  return Promise.all(ids.map(async (id) => storage.createTask(newTask(id))));
}

const EVENT = { stage: 'planning', message: 'one' };

/** Counts the statements that change tasks while the work is done. */
async function changesDuring(work: () => Promise<unknown>): Promise<number> {
  const query = jest.spyOn(pg.Client.prototype, 'query');
  try {
    await work();
    return query.mock.calls.filter(([sent]) =>
      textOf(sent).includes('UPDATE "public"."agent_tasks"'),
    ).length;
  } finally {
    query.mockRestore();
  }
}

function textOf(sent: unknown): string {
  return typeof sent === 'object' && sent !== null && 'text' in sent ? String(sent.text) : '';
}

describe('what each change of one statement demands', () => {
  it('is demanded of its own task, and refuses no other', async () => {
    const storage = await open();
    const lease = { owner: 'me', leaseMs: 3_600_000 };
    for (const id of idsOf('held', 4)) {
      await storage.createTask(newTask(id, { status: 'running' }), { lease });
    }
    await createAll(storage, idsOf('free', 6));
    await storage.createTask(newTask('ended', { status: 'running' }));
    await storage.updateTask('ended', { status: 'finished' });
    const mine = { owner: 'me', attempt: 1 };
    const other = storage.forTenant('other');
    const calls: [id: string, call: () => Promise<unknown>, outcome: unknown][] = [
      ['held-0', async () => storage.updateTask('held-0', { result: 'r' }, { lease: mine }), true],
      [
        'held-1',
        async () => storage.appendEvents('held-1', [EVENT], { lease: { ...mine, owner: 'you' } }),
        'CONFLICT',
      ],
      [
        'held-2',
        async () => storage.updateTask('held-2', {}, { lease: { ...mine, attempt: 2 } }),
        'CONFLICT',
      ],
      [
        'held-3',
        async () =>
          storage.updateTask('held-3', { status: 'finished' }, { lease: mine, events: [EVENT] }),
        true,
      ],
      ['free-0', async () => storage.updateTask('free-0', {}, { expectedVersion: 1 }), true],
      ['free-1', async () => storage.updateTask('free-1', {}, { expectedVersion: 2 }), 'CONFLICT'],
      [
        'free-2',
        async () => storage.appendEvents('free-2', [EVENT], { expectedSequence: 1 }),
        'CONFLICT',
      ],
      ['free-3', async () => storage.appendEvents('free-3', [EVENT], { expectedSequence: 0 }), 1],
      [
        'free-4',
        async () => storage.updateTask('free-4', { status: 'finished' }, { events: [EVENT] }),
        'ILLEGAL_TRANSITION',
      ],
      ['free-5', async () => other.updateTask('free-5', { result: 'r' }), false],
      ['ended', async () => storage.appendEvents('ended', [EVENT]), 'ILLEGAL_TRANSITION'],
    ];
    const outcomes: unknown[] = [];
    const statements = await changesDuring(async () => {
      outcomes.push(...(await Promise.all(calls.map(async ([, call]) => outcomeOf(call())))));
    });
    expect(outcomes).toEqual(calls.map(([, , outcome]) => outcome));
    expect(statements).toBe(1);
    const stored = await Promise.all(calls.map(async ([id]) => storage.getTask(id)));
    expect(
      stored.map((task) => [task?.version, task?.lastEventSequence, task?.leaseOwner]),
    ).toEqual([
      [2, 0, 'me'],
      [1, 0, 'me'],
      [1, 0, 'me'],
      [2, 1, null],
      [2, 0, null],
      [1, 0, null],
      [1, 0, null],
      [1, 1, null],
      [1, 0, null],
      [1, 0, null],
      [2, 0, null],
    ]);
    expect(stored.map((task) => task?.status).filter((status) => status === 'finished')).toEqual([
      'finished',
      'finished',
    ]);
  });
});

describe('a read', () => {
  it('that follows an awaited write sees it, whatever else is under way and wherever', async () => {
    const [writer, reader] = [await open(), await open()];
    const ids = idsOf('task', 25);
    await createAll(writer, ids);
    const stale: string[] = [];
    await Promise.all(
      ids.flatMap((id, index) =>
        // Each chain goes at its own pace, so that reads of one meet writes of others.
        [writer, reader].map(async (storage) => {
          for (let round = 1; round <= 10; round += 1) {
            if (storage === reader) {
              await reader.getTask(id);
              continue;
            }
            const expected = `${round} of ${index}`;
            await writer.updateTask(id, { result: expected });
            const found = await Promise.all([writer.getTask(id), reader.getTask(id)]);
            stale.push(...found.flatMap((task) => (task?.result === expected ? [] : [expected])));
          }
        }),
      ),
    );
    expect(stale).toEqual([]);
  });
});

describe('two storages on one data source of the application', () => {
  it('gather each for itself, and one goes on when the other is closed in a burst', async () => {
    const dataSource = await new DataSource({
      type: 'postgres',
      url: postgres.database.connectionString,
      poolSize: 4,
    }).initialize();
    try {
      const [first, second] = [await open({ dataSource }), await open({ dataSource })];
      const [ofFirst, ofSecond] = [idsOf('first', 100), idsOf('second', 100)];
      const created = Promise.all([createAll(first, ofFirst), createAll(second, ofSecond)]);
      const closing = first.close();
      const late = outcomeOf(first.createTask(newTask('late')));
      expect(await created).toEqual([ofFirst.map(() => true), ofSecond.map(() => true)]);
      await closing;
      expect(await late).toBe('UNAVAILABLE');
      const crossed = await Promise.all(
        [...ofFirst, ...ofSecond].map(async (id) => second.appendEvents(id, [EVENT])),
      );
      expect(crossed).toEqual(crossed.map(() => 1));
      const found = await Promise.all(ofFirst.map(async (id) => second.getTask(id)));
      expect(found.map((task) => task?.query)).toEqual(ofFirst.map((id) => `query of ${id}`));
      expect(await second.getTask('late')).toBeNull();
      expect(dataSource.isInitialized).toBe(true);
    } finally {
      await postgres.closeAll();
      await dataSource.destroy();
    }
  });
});

describe('an application that has the driver parse types in its own way', () => {
  it('changes nothing about what a burst answers', async () => {
    const storage = await open();
    const { BOOL, INT8, INT4, TEXT, VARCHAR, JSON: ofJson, JSONB, TIMESTAMPTZ } = pg.types.builtins;
    const oids = [BOOL, INT8, INT4, TEXT, VARCHAR, ofJson, JSONB, TIMESTAMPTZ];
    const before = oids.map((oid) => [oid, pg.types.getTypeParser(oid)] as const);
    const ids = idsOf('task', 20);
    const perTask = async (call: (id: string) => Promise<unknown>): Promise<unknown[]> =>
      Promise.all(ids.map(async (id) => outcomeOf(call(id))));
    try {
      oids.forEach((oid) => pg.types.setTypeParser(oid, (text) => `parsed ${text}`));
      const limited = Promise.all(
        idsOf('limited', 5).map(async (id) =>
          outcomeOf(storage.createTask(newTask(id), { maxActiveTasks: 3 })),
        ),
      );
      expect(await limited).toEqual([true, true, true, 'LIMIT_REACHED', 'LIMIT_REACHED']);
      const data = { requestData: { list: [1] } };
      expect(await perTask(async (id) => storage.createTask(newTask(id, data)))).toEqual(
        ids.map(() => true),
      );
      expect(await perTask(async (id) => storage.createTask(newTask(id)))).toEqual(
        ids.map(() => false),
      );
      expect(await perTask(async (id) => storage.appendEvents(id, [EVENT, EVENT]))).toEqual(
        ids.map(() => 2),
      );
      expect(
        await perTask(async (id) => storage.updateTask(id, {}, { expectedVersion: 9 })),
      ).toEqual(ids.map(() => 'CONFLICT'));
      expect(await perTask(async (id) => storage.getTask(id))).toEqual(
        ids.map((taskId) =>
          expect.objectContaining({
            ...newTask(taskId, data),
            version: 1,
            lastEventSequence: 2,
            createdAt: expect.any(Date),
          }),
        ),
      );
    } finally {
      before.forEach(([oid, parser]) => pg.types.setTypeParser(oid, parser));
    }
  });
});

describe('an id that another session is creating', () => {
  it.each([undefined, { maxActiveTasks: 100 }])(
    'is unavailable while that goes on, and so is no other (options: %j)',
    async (options) => {
      // So short that the others need not wait longer for it than they may.
      const storage = await open({ lockTimeoutMs: 50 });
      const ids = idsOf('task', 12);
      await besideTransaction(
        postgres.database.connectionString,
        `INSERT INTO agent_tasks (task_id, status, query, max_steps)
         VALUES ('task-3', 'pending', 'q', 1)`,
        async (commit) => {
          const outcomes = await Promise.all(
            ids.map(async (id) => outcomeOf(storage.createTask(newTask(id), options))),
          );
          expect(outcomes).toEqual(ids.map((id) => (id === 'task-3' ? 'UNAVAILABLE' : true)));
          await commit();
        },
      );
      expect(await storage.createTask(newTask('task-3'), options)).toBe(false);
    },
  );
});
