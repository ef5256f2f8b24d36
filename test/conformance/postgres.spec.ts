import { afterAll, beforeAll } from '@jest/globals';
import { describeTaskStorage } from '../../src/testing/index.js';
import { createPostgresHarness } from '../support/postgres-harness.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.drop();
});

describeTaskStorage('postgres', async () => createPostgresHarness(database), {
  ages: true,
  durable: true,
  breakable: true,
});
