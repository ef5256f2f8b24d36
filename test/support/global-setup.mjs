import { tsImport } from 'tsx/esm/api';

/** One Postgres server for the whole run; each test file takes a database of its own from it. */
export default async function globalSetup() {
  const { startPostgres } = await tsImport('./embedded-postgres.ts', import.meta.url);
  const server = await startPostgres();
  globalThis.taskStorageTestServer = server;
  process.env.TEST_POSTGRES_URL = server.url;
}
