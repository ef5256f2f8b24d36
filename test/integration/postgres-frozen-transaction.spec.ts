import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createDataSource } from '../../src/storage/typeorm/data-source.js';
import { PostgresConnection } from '../../src/storage/typeorm/postgres-connection.js';
import { resolvePostgresOptions } from '../../src/storage/typeorm/resolve-postgres-options.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => database.drop());

/** Stops this process for far longer than the time-out, so that its end is read only afterwards. */
function freeze(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
}

it('a process that was frozen within a transaction finds it ended, as UNAVAILABLE, and goes on', async () => {
  const { connectionString } = database;
  const dataSource = createDataSource(
    [connectionString],
    resolvePostgresOptions({ connectionString }),
  );
  await dataSource.initialize();
  const connection = new PostgresConnection(dataSource, true);
  const frozen = connection.transaction('', async (send) => {
    await send({ text: 'SET LOCAL idle_in_transaction_session_timeout = 20', values: [] });
    freeze();
    await send({ text: 'SELECT 1', values: [] });
  });
  await expect(frozen).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(connection.send({ text: 'SELECT 1 AS one', values: [] })).resolves.toEqual([
    { one: 1 },
  ]);
  await connection.close();
});
