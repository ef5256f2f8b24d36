export { createPostgresTaskStorage } from './postgres-task-storage.js';
export type { PostgresStorageOptions } from './postgres-storage-options.js';
