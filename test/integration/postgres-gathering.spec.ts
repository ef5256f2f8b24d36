import { describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import type { TaskStorage } from '../../src/task/task-storage.js';
import type { NewTask } from '../../src/task/task.js';
import { outcomeOf } from '../support/outcome-of.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const { open } = usePostgresStorages();

function newTask(taskId: string, fields: Partial<NewTask> = {}): NewTask {
  return { taskId, query: `query of ${taskId}`, maxSteps: 5, ...fields };
}

function range<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** The ids of new tasks, created at once. */
async function createTasks(storage: TaskStorage, count: number): Promise<string[]> {
  const ids = range(count, (index) => `task-${index}`);
  const created = await Promise.all(ids.map(async (id) => storage.createTask(newTask(id))));
  expect(created).toEqual(ids.map(() => true));
  return ids;
}

function event(message: string) {
  return { stage: 'planning', message };
}

describe('a burst of calls', () => {
  it('of every kind answers each caller what its own call did', async () => {
    const storage = await open();
    const ids = await createTasks(storage, 40);
    const calls = ids.flatMap((id, index): [() => Promise<unknown>, unknown][] => [
      [async () => storage.createTask(newTask(`new-${id}`)), true],
      [async () => storage.createTask(newTask(`limited-${id}`), { maxActiveTasks: 100_000 }), true],
      // Only these change the task, one after the other.
      [async () => storage.updateTask(id, { result: id }, { expectedVersion: 1 }), true],
      [
        async () =>
          storage.appendEvents(
            id,
            range(index + 1, () => event(id)),
          ),
        index + 1,
      ],
      [async () => storage.updateTask(id, { result: 'late' }, { expectedVersion: 1 }), 'CONFLICT'],
      [async () => storage.appendEvents(id, [event(id)], { expectedSequence: 0 }), 'CONFLICT'],
      [async () => storage.updateTask(id, { status: 'finished' }), 'ILLEGAL_TRANSITION'],
      [async () => storage.updateTask(`missing-${id}`, { result: id }), false],
      [async () => storage.appendEvents(`missing-${id}`, [event(id)]), null],
      [async () => storage.getTask(`missing-${id}`), null],
      [
        async () => storage.getTask(id),
        expect.objectContaining({ taskId: id, query: `query of ${id}` }),
      ],
      [
        async () => storage.getTask(id, { view: 'summary' }),
        expect.not.objectContaining({ requestData: expect.anything() }),
      ],
    ]);
    const outcomes = await Promise.all(calls.map(async ([call]) => outcomeOf(call())));
    expect(outcomes).toEqual(calls.map(([, expected]) => expected));
    const stored = await Promise.all(ids.map(async (id) => storage.getTask(id)));
    expect(stored).toEqual(
      ids.map((id, index) =>
        expect.objectContaining({ result: id, version: 2, lastEventSequence: index + 1 }),
      ),
    );
    const logs = await Promise.all(ids.map(async (id) => storage.listEvents(id)));
    expect(logs.map((log) => [...new Set(log.map(({ message }) => message))])).toEqual(
      ids.map((id) => [id]),
    );
  });

  it('that change one version of a task lets exactly one of them win', async () => {
    const storages = [await open(), await open()] as const;
    const [id = ''] = await createTasks(storages[0], 1);
    const outcomes = await Promise.all(
      range(60, async (index) =>
        outcomeOf(
          storages[index % 2 === 0 ? 0 : 1].updateTask(
            id,
            { result: `${index}` },
            { expectedVersion: 1, events: [event(`${index}`)] },
          ),
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === true)).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'CONFLICT')).toHaveLength(59);
    const winner = `${outcomes.indexOf(true)}`;
    expect(await storages[0].getTask(id)).toMatchObject({ result: winner, version: 2 });
    expect(await storages[0].listEvents(id)).toMatchObject([{ message: winner }]);
  });

  it('to few tasks, not awaited, lands in the order of the calls', async () => {
    const storage = await open();
    const ids = await createTasks(storage, 3);
    const calls = range(150, async (index): Promise<unknown> => {
      const id = ids[index % ids.length] ?? '';
      const events = [event(`${index}`)];
      return index % 2 === 0
        ? storage.appendEvents(id, events)
        : storage.updateTask(id, { result: `${index}` }, { events });
    });
    const outcomes = await Promise.all(calls);
    for (const [place, id] of ids.entries()) {
      const own = range(50, (round) => place + round * ids.length);
      const log = await storage.listEvents(id);
      expect(log.map(({ message }) => Number(message))).toEqual(own);
      expect(own.map((index) => outcomes[index])).toEqual(
        own.map((index, round) => (index % 2 === 0 ? round + 1 : true)),
      );
      const lastUpdate = own.findLast((index) => index % 2 === 1);
      expect(await storage.getTask(id)).toMatchObject({ result: `${lastUpdate}`, version: 26 });
    }
  });

  it('of two tenants never crosses from one to the other', async () => {
    const storage = await open();
    const tenants = { a: storage.forTenant('a'), b: storage.forTenant('b') };
    const ids = range(30, (index) => `task-${index}`);
    const ownerOf = (index: number): 'a' | 'b' => (index % 2 === 0 ? 'a' : 'b');
    await Promise.all(
      ids.map(async (id, index) => tenants[ownerOf(index)].createTask(newTask(id))),
    );
    const asked = ids.flatMap((id, index) =>
      (['a', 'b'] as const).map((tenant) => ({ id, tenant, isOwn: ownerOf(index) === tenant })),
    );
    const outcomes = await Promise.all(
      asked.map(async ({ id, tenant }) =>
        Promise.all([
          tenants[tenant].getTask(id).then((task) => task?.tenantId ?? null),
          outcomeOf(tenants[tenant].createTask(newTask(id))),
          tenants[tenant].updateTask(id, { result: tenant }),
          tenants[tenant].appendEvents(id, [event(tenant)]),
        ]),
      ),
    );
    expect(outcomes).toEqual(
      asked.map(({ tenant, isOwn }) =>
        isOwn ? [tenant, false, true, 1] : [null, false, false, null],
      ),
    );
    const stored = await Promise.all(ids.map(async (id) => storage.getTask(id)));
    expect(stored.map((task) => [task?.tenantId, task?.result, task?.version])).toEqual(
      ids.map((_, index) => [ownerOf(index), ownerOf(index), 2]),
    );
  });

  it('for the same task gives each caller a copy of its own', async () => {
    const storage = await open();
    await storage.createTask(newTask('task', { requestData: { list: [1] } }));
    const found = await Promise.all(range(50, async () => storage.getTask('task')));
    for (const [index, task] of found.entries()) {
      expect(task?.requestData).toEqual({ list: [1] });
      Object.assign(task?.requestData ?? {}, { list: index });
      task?.createdAt.setTime(0);
    }
    expect(new Set(found).size).toBe(50);
    expect(await storage.getTask('task')).toMatchObject({ requestData: { list: [1] } });
  });

  it('with large tasks among small ones carries each whole', async () => {
    const storage = await open();
    const large = 'Größe €'.repeat(400_000);
    const isLarge = (index: number): boolean => index % 10 === 3;
    const dataOf = (index: number) => ({ index, text: isLarge(index) ? large : 'small' });
    const ids = range(40, (index) => `task-${index}`);
    const created = await Promise.all(
      ids.map(async (id, index) => storage.createTask(newTask(id, { requestData: dataOf(index) }))),
    );
    expect(created).toEqual(ids.map(() => true));
    const updated = await Promise.all(
      ids.map(async (id, index) => storage.updateTask(id, { conversationHistory: dataOf(index) })),
    );
    expect(updated).toEqual(ids.map(() => true));
    const found = await Promise.all(ids.map(async (id) => storage.getTask(id)));
    const wrong = found.filter((task, index) =>
      [task?.requestData, task?.conversationHistory].some(
        (data) => data?.['index'] !== index || data['text'] !== dataOf(index).text,
      ),
    );
    expect(wrong.map((task) => task?.taskId)).toEqual([]);
  });

  it('takes far fewer statements than calls', async () => {
    const storage = await open();
    const ids = await createTasks(storage, 200);
    const query = jest.spyOn(pg.Client.prototype, 'query');
    const countOf = async (calls: () => Promise<unknown>[]): Promise<number> => {
      query.mockClear();
      await Promise.all(calls());
      return query.mock.calls.length;
    };
    const counts = [
      await countOf(() => ids.map(async (id) => storage.getTask(id))),
      await countOf(() => ids.map(async (id) => storage.updateTask(id, { result: id }))),
      await countOf(() => ids.map(async (id) => storage.appendEvents(id, [event(id)]))),
      await countOf(() => ids.map(async (id) => storage.createTask(newTask(`new-${id}`)))),
    ];
    query.mockRestore();
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect(Math.max(...counts)).toBeLessThan(20);
  });
});
