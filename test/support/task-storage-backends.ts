import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import { systemClock } from '../../src/task/clock.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { createTestDatabase } from './test-database.js';

const MINUTE_MS = 60_000;

/** An empty storage that belongs to one suite. */
export interface OpenBackend {
  readonly storage: TaskStorage;
  /** What another process would use: the same storage where it lives in one process. */
  openAnother(): Promise<TaskStorage>;
  /** Makes a task look as if it was last updated so long before now. */
  makeOlder(taskId: string, minutes: number): Promise<void>;
  close(): Promise<void>;
}

/** A backend that a suite runs on. */
export interface Backend {
  readonly name: string;
  readonly open: () => Promise<OpenBackend>;
}

/** Every backend, for `describe.each`. */
export const taskStorageBackends: readonly Backend[] = [
  {
    name: 'memory',
    open: async () => {
      let pastMs = 0;
      const clock = { ...systemClock, now: () => new Date(Date.now() - pastMs) };
      const storage = createMemoryTaskStorage({ clock });
      return {
        storage,
        openAnother: async () => storage,
        makeOlder: async (taskId, minutes) => {
          pastMs = minutes * MINUTE_MS;
          await storage.updateTask(taskId, { query: 'made older' });
          pastMs = 0;
        },
        close: async () => storage.close(),
      };
    },
  },
  {
    name: 'postgres',
    open: async () => {
      const database = await createTestDatabase();
      const { connectionString } = database;
      const openAnother = async () => createPostgresTaskStorage({ connectionString });
      const storage = await openAnother();
      return {
        storage,
        openAnother,
        makeOlder: async (taskId, minutes) => {
          await database.query(
            `UPDATE agent_tasks SET updated_at = NOW() - make_interval(mins => $2) WHERE task_id = $1`,
            [taskId, minutes],
          );
        },
        close: async () => {
          await storage.close();
          await database.drop();
        },
      };
    },
  },
];
