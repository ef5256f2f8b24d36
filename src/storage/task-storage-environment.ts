import { z } from 'zod';
import { ConfigurationError } from '../config/configuration-error.js';
import {
  choice,
  integer,
  readEnvironment,
  text,
  type EnvironmentSource,
} from '../config/environment.js';
import type { TaskStorageModuleOptions } from './task-storage-options.js';
import { MAX_TIMEOUT_MS } from './typeorm/postgres-task-storage-options.js';

function milliseconds(defaultValue: number, minimum = 1): ReturnType<typeof integer> {
  return integer({ minimum, maximum: MAX_TIMEOUT_MS, defaultValue });
}

/** The environment variables of the storage. */
export const taskStorageEnvironment = z.object({
  TASK_STORAGE_BACKEND: choice(['memory', 'postgres'], 'memory'),
  TASK_STORAGE_MIGRATIONS: choice(['auto', 'manual'], 'auto'),
  MEMORY_MAX_TASKS: integer({ minimum: 0, defaultValue: 0 }),
  POSTGRES_CONNECTION_STRING: text(),
  POSTGRES_SCHEMA: text('public'),
  POSTGRES_TABLE: text('agent_tasks'),
  POSTGRES_POOL_SIZE: integer({ minimum: 3, maximum: 10_000, defaultValue: 10 }),
  POSTGRES_CONNECT_TIMEOUT_MS: milliseconds(5_000),
  POSTGRES_STATEMENT_TIMEOUT_MS: milliseconds(15_000),
  POSTGRES_LOCK_TIMEOUT_MS: milliseconds(5_000),
  POSTGRES_CONNECT_RETRY_MS: milliseconds(30_000, 0),
  POSTGRES_ADOPTED_TIME_ZONE: text('UTC'),
});

/** @throws {ConfigurationError} naming each variable that is missing or wrong */
export function readTaskStorageOptions(source: EnvironmentSource): TaskStorageModuleOptions {
  const environment = readEnvironment(taskStorageEnvironment, source);
  if (environment.TASK_STORAGE_BACKEND === 'memory') {
    const maxTasks = environment.MEMORY_MAX_TASKS;
    return { backend: 'memory', maxTasks: maxTasks === 0 ? undefined : maxTasks };
  }
  if (environment.POSTGRES_CONNECTION_STRING === undefined) {
    throw new ConfigurationError(
      'TASK_STORAGE_BACKEND=postgres needs POSTGRES_CONNECTION_STRING, for example postgresql://user:password@localhost:5432/agent_tasks',
    );
  }
  return {
    backend: 'postgres',
    connectionString: environment.POSTGRES_CONNECTION_STRING,
    schema: environment.POSTGRES_SCHEMA,
    table: environment.POSTGRES_TABLE,
    migrations: environment.TASK_STORAGE_MIGRATIONS,
    adoptedTimeZone: environment.POSTGRES_ADOPTED_TIME_ZONE,
    poolSize: environment.POSTGRES_POOL_SIZE,
    connectTimeoutMs: environment.POSTGRES_CONNECT_TIMEOUT_MS,
    statementTimeoutMs: environment.POSTGRES_STATEMENT_TIMEOUT_MS,
    lockTimeoutMs: environment.POSTGRES_LOCK_TIMEOUT_MS,
    connectRetryMs: environment.POSTGRES_CONNECT_RETRY_MS,
  };
}
