import { beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createOriginalTable, insertOriginalRow } from '../support/original-service.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const newTask = { taskId: 'new', query: 'add 2 and 2', maxSteps: 5 };

const postgres = usePostgresStorages();
const { open } = postgres;

async function columnsOf(table: string): Promise<Record<string, string>> {
  const rows = await postgres.database.query<{ column_name: string; data_type: string }>(
    'SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1',
    [table],
  );
  return Object.fromEntries(rows.map((row) => [row.column_name, row.data_type]));
}

async function indexNames(): Promise<string[]> {
  const rows = await postgres.database.query<{ indexname: string }>(
    'SELECT indexname FROM pg_indexes',
  );
  return rows.map((row) => row.indexname);
}

describe('a fresh database', () => {
  it('gets the table of the original with its index names, and what we add', async () => {
    await open();
    const columns = await columnsOf('agent_tasks');
    expect(columns).toMatchObject({
      task_id: 'character varying',
      status: 'character varying',
      query: 'text',
      max_steps: 'integer',
      final_state: 'character varying',
      timestamp_dir: 'text',
      execution_statistics: 'jsonb',
      sandbox_info: 'jsonb',
      request_data: 'jsonb',
      conversation_history: 'jsonb',
      created_at: 'timestamp with time zone',
      updated_at: 'timestamp with time zone',
      tenant_id: 'character varying',
      finished_at: 'timestamp with time zone',
    });
    expect(await indexNames()).toEqual(
      expect.arrayContaining(['idx_agent_tasks_status', 'idx_agent_tasks_created_at']),
    );
  });

  it('is migrated once by ten replicas that start at once', async () => {
    const storages = await Promise.all(
      Array.from({ length: 10 }, async () => open({ poolSize: 3 })),
    );
    expect(await storages[0]?.createTask(newTask)).toBe(true);
    expect(await storages[9]?.getTask('new')).toMatchObject({ query: 'add 2 and 2' });
    expect(await postgres.database.query('SELECT name FROM agent_tasks_migrations')).toHaveLength(
      6,
    );
  });

  it('gives one new schema to several storages that start at once', async () => {
    const tables = ['first', 'second', 'third', 'fourth'];
    const storages = await Promise.all(
      tables.map(async (table) => open({ schema: 'shared', table, poolSize: 3 })),
    );
    await Promise.all(storages.map(async (storage) => storage.ping()));
    expect(storages).toHaveLength(4);
  });

  it('is left alone with manual migrations, and the error says what to do', async () => {
    await expect(open({ migrations: 'manual' })).rejects.toMatchObject({
      code: 'MISCONFIGURED',
      message: expect.stringContaining('start once with TASK_STORAGE_MIGRATIONS=auto'),
    });
    expect(await columnsOf('agent_tasks')).toEqual({});
  });

  it('opens with manual migrations once it is up to date', async () => {
    await open();
    const storage = await open({ migrations: 'manual' });
    expect(await storage.createTask(newTask)).toBe(true);
  });

  it('is refused when it is newer than the code', async () => {
    await open();
    await postgres.database.query(
      `INSERT INTO agent_tasks_migrations (timestamp, name) VALUES (2, 'FromTheFuture2')`,
    );
    await expect(open()).rejects.toMatchObject({
      code: 'MISCONFIGURED',
      message: expect.stringContaining('FromTheFuture2; update the package'),
    });
  });

  it('can hold several storages, in schemas and tables with names that need quoting', async () => {
    const first = await open();
    const second = await open({ schema: 'other; schema', table: 'Agent Tasks' });
    await first.createTask(newTask);
    expect(await second.getTask('new')).toBeNull();
    expect(await second.createTask(newTask, { events: [{ stage: 'a', message: '' }] })).toBe(true);
    expect(await first.listEvents('new')).toEqual([]);
  });

  it('leaves a table of another kind alone', async () => {
    await open();
    await expect(open({ table: 'agent_tasks_events' })).rejects.toMatchObject({
      code: 'MISCONFIGURED',
      message: expect.stringContaining('is not a table of tasks: it lacks query, max_steps'),
    });
    expect(await columnsOf('agent_tasks_events')).not.toHaveProperty('conversation_history');
  });

  it.each(['', 'a"b', 'a.b', 'x'.repeat(64)])('refuses the schema name %j', async (schema) => {
    await expect(open({ schema })).rejects.toMatchObject({ code: 'INVALID', field: 'schema' });
  });
});

describe.each([true, false])(
  'a table of the original (conversation_history: %s)',
  (withConversationHistory) => {
    beforeEach(async () => {
      await createOriginalTable(postgres.database, { withConversationHistory });
      await insertOriginalRow(postgres.database, {
        taskId: 'old-finished',
        status: 'finished',
        createdAt: '2025-01-01 10:00:00.123456',
        updatedAt: '2025-01-01 11:00:00',
      });
      await insertOriginalRow(postgres.database, {
        taskId: 'old-running',
        status: 'running',
        createdAt: '2025-06-01 10:00:00',
        updatedAt: '2025-06-01 10:00:00',
      });
    });

    it('is adopted with its rows, whose times are read as UTC', async () => {
      const storage = await open();
      expect(await storage.getTask('old-finished')).toMatchObject({
        status: 'finished',
        tenantId: 'default',
        version: 1,
        executionStatistics: { steps: 3 },
        conversationHistory: null,
        finishedAt: null,
        createdAt: new Date('2025-01-01T10:00:00.123Z'),
        updatedAt: new Date('2025-01-01T11:00:00Z'),
      });
      expect(await storage.countActiveTasks()).toBe(1);
      const { tasks } = await storage.listTasks();
      expect(tasks.map(({ taskId }) => taskId)).toEqual(['old-running', 'old-finished']);
    });

    it('is adopted with times of another zone when an option names it', async () => {
      const storage = await open({ adoptedTimeZone: 'Europe/Berlin' });
      expect(await storage.getTask('old-running')).toMatchObject({
        createdAt: new Date('2025-06-01T08:00:00Z'),
      });
      expect(await storage.getTask('old-finished')).toMatchObject({
        createdAt: new Date('2025-01-01T09:00:00.123Z'),
      });
    });

    it('is left unchanged when the zone is unknown, and the error names the option', async () => {
      await expect(open({ adoptedTimeZone: 'Mars/Base' })).rejects.toMatchObject({
        code: 'MISCONFIGURED',
        message: expect.stringContaining(
          'adoptedTimeZone (POSTGRES_ADOPTED_TIME_ZONE) is "Mars/Base"',
        ),
      });
      expect(await columnsOf('agent_tasks')).toMatchObject({
        created_at: 'timestamp without time zone',
      });
      expect(await postgres.database.query('SELECT * FROM agent_tasks')).toHaveLength(2);
    });

    it('leaves the migrations table of the original alone', async () => {
      await open();
      expect(await postgres.database.query('SELECT version FROM schema_migrations')).toEqual([
        { version: '002' },
      ]);
    });

    it('goes on taking the rows that the original writes, and every operation works on them', async () => {
      const storage = await open();
      const now = new Date().toISOString();
      await insertOriginalRow(postgres.database, {
        taskId: 'late',
        status: 'pending',
        createdAt: now,
        updatedAt: now,
      });
      expect(await storage.updateTask('late', { status: 'running' }, { expectedVersion: 1 })).toBe(
        true,
      );
      expect(await storage.appendEvents('late', [{ stage: 'working', message: '' }])).toBe(1);
      // The original ends the task without knowing our columns.
      await postgres.database.query(
        `UPDATE agent_tasks SET status = 'finished', updated_at = NOW() WHERE task_id = 'late'`,
      );
      expect(await storage.getTask('late')).toMatchObject({ status: 'finished', finishedAt: null });
      await expect(storage.updateTask('late', { status: 'error' })).rejects.toMatchObject({
        code: 'ILLEGAL_TRANSITION',
      });
      expect(await storage.updateTask('late', { result: '4' })).toBe(true);
      expect(
        (await storage.listTasks({ status: 'finished', limit: 1 })).nextPageToken,
      ).not.toBeNull();
      expect(await storage.deleteTask('late')).toBe(true);
    });

    it('reads a row whose number of steps the original has not checked', async () => {
      const storage = await open();
      await postgres.database.query(`UPDATE agent_tasks SET max_steps = -1`);
      expect(await storage.getTask('old-finished')).toMatchObject({ maxSteps: -1 });
    });

    it('cleans the ended rows of the original by the time of their last update', async () => {
      const storage = await open();
      await insertOriginalRow(postgres.database, {
        taskId: 'lately-updated',
        status: 'error',
        createdAt: '2025-01-01 00:00:00',
        updatedAt: new Date().toISOString(),
      });
      expect(await storage.cleanupOldTasks(30, { dryRun: true })).toBe(1);
      expect(await storage.cleanupOldTasks(30)).toBe(1);
      expect(await storage.getTask('old-finished')).toBeNull();
      expect(await storage.getTask('lately-updated')).not.toBeNull();
      expect(await storage.getTask('old-running')).not.toBeNull();
    });
  },
);

it('keeps the microseconds of the original when it pages', async () => {
  await createOriginalTable(postgres.database, { withConversationHistory: true });
  const storage = await open();
  for (let index = 0; index < 20; index += 1) {
    await insertOriginalRow(postgres.database, {
      taskId: `task-${index}`,
      status: 'finished',
      createdAt: `2025-01-01 00:00:00.${String(100_000 + index)}+00`,
      updatedAt: '2025-01-02 00:00:00+00',
    });
  }
  const seen: string[] = [];
  let pageToken: string | undefined;
  do {
    const page = await storage.listTasks({ limit: 3, pageToken });
    seen.push(...page.tasks.map(({ taskId }) => taskId));
    pageToken = page.nextPageToken ?? undefined;
  } while (pageToken !== undefined);
  expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => `task-${19 - index}`));
});

it('orders tasks of the same instant by the code points of their ids, on every page', async () => {
  const storage = await open();
  // As UTF-16, the fox (two surrogates) would come before the ligature.
  const ids = ['\u{1F98A}', '\uFB00', 'b', 'a', 'B'];
  for (const taskId of ids) {
    await storage.createTask({ ...newTask, taskId });
  }
  await postgres.database.query('UPDATE agent_tasks SET created_at = $1', [new Date()]);
  const first = await storage.listTasks({ limit: 2 });
  const rest = await storage.listTasks({ pageToken: first.nextPageToken ?? '' });
  expect([...first.tasks, ...rest.tasks].map(({ taskId }) => taskId)).toEqual(ids);
});

it('reads times and JSON whatever the application and the database make of them', async () => {
  const storage = await open();
  await storage.createTask({ ...newTask, requestData: { a: 1 } });
  const parsers = [1184, 3802].map((oid) => [oid, pg.types.getTypeParser(oid)] as const);
  try {
    parsers.forEach(([oid]) => pg.types.setTypeParser(oid, (text) => `parsed ${text}`));
    expect(await storage.getTask('new')).toMatchObject({
      requestData: { a: 1 },
      createdAt: expect.any(Date),
    });
  } finally {
    parsers.forEach(([oid, parser]) => pg.types.setTypeParser(oid, parser));
  }
});

it('refuses a page token of another database, and takes one of before a restart', async () => {
  const storage = await open();
  for (const taskId of ['a', 'b']) {
    await storage.createTask({ ...newTask, taskId });
  }
  const pageToken = (await storage.listTasks({ limit: 1 })).nextPageToken ?? '';
  await storage.close();
  expect((await (await open()).listTasks({ pageToken })).tasks).toHaveLength(1);
  const other = await open({ schema: 'other' });
  await expect(other.listTasks({ pageToken })).rejects.toMatchObject({
    code: 'INVALID',
    field: 'pageToken',
  });
});
