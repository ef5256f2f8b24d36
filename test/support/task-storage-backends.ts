import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { createTestDatabase } from './test-database.js';

/** An empty storage that belongs to one suite. */
export interface OpenBackend {
  readonly storage: TaskStorage;
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
      const storage = createMemoryTaskStorage();
      return { storage, close: async () => storage.close() };
    },
  },
  {
    name: 'postgres',
    open: async () => {
      const database = await createTestDatabase();
      const storage = await createPostgresTaskStorage({
        connectionString: database.connectionString,
      });
      return {
        storage,
        close: async () => {
          await storage.close();
          await database.drop();
        },
      };
    },
  },
];
