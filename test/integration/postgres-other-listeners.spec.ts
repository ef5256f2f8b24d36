import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { readPayload } from '../../src/storage/typeorm/change-payload.js';
import { SchemaNames } from '../../src/storage/typeorm/schema-names.js';
import type { TaskChange } from '../../src/task/task-change.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { eventually } from '../support/eventually.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const CHANNEL = new SchemaNames('public', 'agent_tasks').channel;
const MISSED = { kind: 'missed', taskId: '' };

const postgres = usePostgresStorages();

describe('a storage that nobody else listens to', () => {
  let observer: pg.Client;
  let payloads: string[];

  beforeEach(async () => {
    payloads = [];
    observer = new pg.Client({ connectionString: postgres.database.connectionString });
    observer.on('notification', ({ payload }) => payloads.push(payload ?? ''));
    await observer.connect();
    // It takes no lock, so that nobody knows of it.
    await observer.query(`LISTEN ${CHANNEL}`);
  });

  afterEach(async () => {
    await observer.end();
  });

  async function openLive(): Promise<TaskStorage> {
    const storage = await postgres.open();
    await eventually(
      () => storage.changes.isLive,
      (isLive) => isLive,
    );
    return storage;
  }

  const told = (): TaskChange[] => payloads.flatMap((payload) => readPayload(payload));

  async function create(storage: TaskStorage, taskId: string): Promise<void> {
    await storage.createTask({ taskId, query: 'add 2 and 2', maxSteps: 5 });
  }

  /** Has it write until a hint is withheld. */
  async function becomeAlone(storage: TaskStorage): Promise<void> {
    await create(storage, 'first');
    // All hints of before a write are sent within the pause after it.
    await eventually(
      async () => {
        const before = told().length;
        await create(storage, `task-${performance.now()}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
        return told().length - before;
      },
      (added) => added === 0,
    );
  }

  it('keeps its hints to itself, and tells one who comes to look at everything', async () => {
    const alone = await openLive();
    await becomeAlone(alone);
    payloads.length = 0;
    const newcomer = await openLive();
    const heard: TaskChange[] = [];
    newcomer.changes.listen((change) => heard.push(change));
    await eventually(told, (changes) => changes.length > 0);
    expect(told()[0]).toEqual(MISSED);
    await create(alone, 'told');
    await eventually(
      () => heard,
      (changes) => changes.some(({ taskId }) => taskId === 'told'),
    );
  });

  it('finds those who were there before it', async () => {
    const first = await openLive();
    const heard: TaskChange[] = [];
    first.changes.listen((change) => heard.push(change));
    const second = await openLive();
    // The first of them has it looked, and the last comes after that.
    for (const taskId of ['a', 'b', 'c']) {
      await create(second, taskId);
      await eventually(
        () => heard,
        (changes) => changes.some((change) => change.taskId === taskId),
      );
    }
  });
});
