import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** A database that belongs to one test. */
export interface TestDatabase {
  readonly connectionString: string;
  /** Runs SQL as the server's owner, beside the code under test. */
  query<T extends pg.QueryResultRow>(sql: string, parameters?: unknown[]): Promise<T[]>;
  drop(): Promise<void>;
}

function serverUrl(): string {
  const url = process.env['TEST_POSTGRES_URL'];
  if (url === undefined) {
    throw new Error('TEST_POSTGRES_URL is not set; run the tests with npm test');
  }
  return url;
}

async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: `${serverUrl()}/postgres` });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** Creates an empty database on the server that the test run has started. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await onServer(`CREATE DATABASE ${name}`);
  const connectionString = `${serverUrl()}/${name}`;
  const pool = new pg.Pool({ connectionString, max: 2 });
  // The server ends these sessions when the database is dropped under them.
  pool.on('error', () => undefined);
  return {
    connectionString,
    query: async (sql, parameters) => {
      const { rows } = await pool.query(sql, parameters);
      return rows;
    },
    drop: async () => {
      await pool.end();
      await onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}
