import { afterEach, beforeEach } from '@jest/globals';
import {
  createPostgresTaskStorage,
  type PostgresTaskStorageOptions,
} from '../../src/storage/typeorm/index.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { createTestDatabase, type TestDatabase } from './test-database.js';

/** A database of each test's own, and the storages that it opens there. */
export class PostgresStorages {
  #database: TestDatabase | null = null;
  #opened: TaskStorage[] = [];

  get database(): TestDatabase {
    if (this.#database === null) {
      throw new Error('There is a database only within a test');
    }
    return this.#database;
  }

  readonly open = async (options: PostgresTaskStorageOptions = {}): Promise<TaskStorage> => {
    const storage = await createPostgresTaskStorage({
      ...(options.dataSource === undefined && {
        connectionString: this.database.connectionString,
      }),
      connectRetryMs: 0,
      ...options,
    });
    this.#opened.push(storage);
    return storage;
  };

  async create(): Promise<void> {
    this.#database = await createTestDatabase();
    this.#opened = [];
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#opened.map(async (storage) => storage.close()));
  }

  async drop(): Promise<void> {
    await this.closeAll();
    await this.database.drop();
  }
}

/** Gives each test of the file a database, and closes what it has opened. */
export function usePostgresStorages(): PostgresStorages {
  const storages = new PostgresStorages();
  beforeEach(async () => storages.create());
  afterEach(async () => storages.drop());
  return storages;
}
