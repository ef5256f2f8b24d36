import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import { OutcomeUnknownError } from '../../src/task/errors.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { watchForCommit, watchForWrites } from '../faults/postgres-watchers.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const newTask = { taskId: 'a', query: 'add 2 and 2', maxSteps: 5 };

let database: TestDatabase;
let line: TcpProxy;
let storage: TaskStorage;

beforeEach(async () => {
  database = await createTestDatabase();
  const url = new URL(database.connectionString);
  line = await startTcpProxy(Number(url.port));
  url.port = String(line.port);
  storage = await createPostgresTaskStorage({ connectionString: url.href });
});

afterEach(async () => {
  await storage.close();
  await line.close();
  await database.drop();
});

const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

/** Goes on until the pool has given out a connection whose answers are swallowed. */
async function untilSwallowed(work: () => Promise<unknown>): Promise<unknown> {
  for (;;) {
    const failure = await failureOf(work());
    if (line.swallowed > 0) {
      return failure;
    }
  }
}

it('a write whose answer is lost has an unknown outcome, and is there', async () => {
  line.swallowAnswers(watchForWrites);
  const failure = await untilSwallowed(async () => storage.createTask(newTask));
  expect(failure).toBeInstanceOf(OutcomeUnknownError);
  expect(failure).toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('the change may have been made'),
  });
  expect(await database.query('SELECT task_id FROM agent_tasks')).toEqual([{ task_id: 'a' }]);
});

it('so has a transaction whose COMMIT is not answered', async () => {
  line.swallowAnswers(watchForCommit);
  const failure = await untilSwallowed(async () =>
    storage.createTask(newTask, { maxActiveTasks: 5 }),
  );
  expect(failure).toBeInstanceOf(OutcomeUnknownError);
  expect(await database.query('SELECT task_id FROM agent_tasks')).toEqual([{ task_id: 'a' }]);
});

it('what the server refuses, or was never sent, is told apart', async () => {
  await storage.createTask(newTask);
  await database.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$`);
  await database.query(`CREATE TRIGGER refuse BEFORE UPDATE ON agent_tasks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse()`);
  const refused = await failureOf(storage.updateTask('a', { query: 'b' }));
  expect(refused).toMatchObject({ code: 'UNAVAILABLE', name: 'TaskStorageError' });
  line.cut();
  await failureOf(storage.getTask('a'));
  await failureOf(storage.getTask('a'));
  await failureOf(storage.getTask('a'));
  const unsent = await failureOf(storage.updateTask('a', { query: 'b' }));
  expect(unsent).toMatchObject({ code: 'UNAVAILABLE', name: 'TaskStorageError' });
});

it('a read has no outcome to be unknown', async () => {
  await storage.createTask(newTask);
  line.blackHole();
  const reading = failureOf(storage.getTask('a'));
  line.reset();
  expect(await reading).toMatchObject({ code: 'UNAVAILABLE', name: 'TaskStorageError' });
});
