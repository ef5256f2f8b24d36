import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { PostgresConnection } from '../../src/storage/typeorm/postgres-connection.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

/** The driver as it would be if its class of queries were not to be had. */
class ClientWithoutQueries extends pg.Client {
  static readonly Query = undefined;
}

const COUNT = 'SELECT COUNT(*)::int AS n, MIN(name) AS name FROM things';
const ADD = 'INSERT INTO things (name) SELECT unnest($1::text[])';

/** What the driver cannot write. */
const UNWRITABLE = {
  toPostgres: () => {
    throw new Error('It cannot be written');
  },
};

describe.each([
  ['queries of the driver', pg.Client],
  ['descriptions of queries', ClientWithoutQueries],
])('single statements sent as %s', (_name, Client) => {
  let database: TestDatabase;
  let connection: PostgresConnection;

  beforeEach(async () => {
    database = await createTestDatabase();
    await database.query('CREATE TABLE things (name text PRIMARY KEY)');
    const dataSource = new DataSource({
      type: 'postgres',
      url: database.connectionString,
      poolSize: 2,
      extra: { Client },
    });
    connection = new PostgresConnection(await dataSource.initialize(), true);
  });

  afterEach(async () => {
    await connection.close();
    await database.drop();
  });

  it('say how many rows they wrote, and which they found', async () => {
    expect(await connection.write({ text: ADD, values: [['a', 'b']] })).toBe(2);
    expect(await connection.write({ text: ADD, values: [[]] })).toBe(0);
    expect(await connection.write({ text: ADD, values: [['c']] })).toBe(1);
    expect(await connection.send({ text: COUNT, values: [] })).toEqual([{ n: 3, name: 'a' }]);
  });

  it('are prepared once on a connection', async () => {
    for (const name of ['a', 'b', 'c']) {
      await connection.write({ text: ADD, values: [[name]] });
    }
    const prepared = `SELECT name, (generic_plans + custom_plans)::int AS uses
      FROM pg_prepared_statements WHERE statement LIKE 'INSERT%'`;
    expect(await connection.send({ text: prepared, values: [] })).toEqual([
      { name: expect.stringMatching(/^task_storage_/), uses: 3 },
    ]);
  });

  it('fail alone: the connections go on', async () => {
    await connection.write({ text: ADD, values: [['a']] });
    const refused = connection.write({ text: ADD, values: [['a']] });
    await expect(refused).rejects.toMatchObject({ cause: { code: '23505' } });
    for (const work of ['send', 'write'] as const) {
      // Not the text of the others: the driver closes what it had prepared for this one.
      const unwritable = connection[work]({ text: 'SELECT $1::text', values: [UNWRITABLE] });
      await expect(unwritable).rejects.toMatchObject({
        cause: { message: 'It cannot be written' },
      });
    }
    const more = ['b', 'c', 'd', 'e', 'f', 'g'];
    const written = more.map(async (name) => connection.write({ text: ADD, values: [[name]] }));
    expect(await Promise.all(written)).toEqual(more.map(() => 1));
    expect(await connection.send({ text: COUNT, values: [] })).toEqual([{ n: 7, name: 'a' }]);
  });

  it('are refused after the end', async () => {
    await connection.close();
    for (const work of ['send', 'write'] as const) {
      await expect(connection[work]({ text: COUNT, values: [] })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: 'The storage is closed',
      });
    }
  });
});
