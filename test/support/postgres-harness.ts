import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import type { TaskStorageHarness } from '../../src/testing/index.js';
import { startTcpProxy } from './tcp-proxy.js';
import type { TestDatabase } from './test-database.js';

/**
 * An empty storage in a database that several tests use one after the other, reached through a
 * proxy, so that the line to it can be cut.
 */
export async function createPostgresHarness(database: TestDatabase): Promise<TaskStorageHarness> {
  const url = new URL(database.connectionString);
  const proxy = await startTcpProxy(Number(url.port));
  url.port = String(proxy.port);
  const open = async (): Promise<TaskStorage> =>
    createPostgresTaskStorage({ connectionString: url.href, connectRetryMs: 0 });
  const storage = await open();
  await database.query('TRUNCATE agent_tasks CASCADE');
  await database.query(
    `DELETE FROM agent_tasks_settings WHERE name NOT LIKE 'nestjs-task-storage:%'`,
  );
  return {
    storage,
    reopen: open,
    passDays: async (days) => {
      await database.query(
        `UPDATE agent_tasks SET created_at = created_at - make_interval(days => $1),
           updated_at = updated_at - make_interval(days => $1),
           started_at = started_at - make_interval(days => $1),
           finished_at = finished_at - make_interval(days => $1),
           queued_at = queued_at - make_interval(days => $1),
           lease_expires_at = lease_expires_at - make_interval(days => $1)`,
        [days],
      );
    },
    breakConnection: async () => proxy.cut(),
    restoreConnection: async () => proxy.restore(),
    dispose: async () => {
      await storage.close();
      await proxy.close();
    },
  };
}
