export { createPostgresTaskStorage } from './postgres-task-storage.js';
export type {
  PostgresTaskStorageOptions,
  TypeOrmDataSource,
} from './postgres-task-storage-options.js';
