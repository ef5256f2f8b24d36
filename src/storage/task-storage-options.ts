import { ConfigurationError } from '../config/configuration-error.js';
import type { MemoryTaskStorageOptions } from './memory/index.js';
import type { PostgresTaskStorageOptions } from './typeorm/postgres-task-storage-options.js';

/** Tasks in the memory of this process: gone with it, and not shared with another. */
export interface MemoryBackendOptions extends Pick<MemoryTaskStorageOptions, 'maxTasks'> {
  backend: 'memory';
}

/** Tasks in Postgres; needs the packages `typeorm` and `pg`. */
export interface PostgresBackendOptions extends Omit<PostgresTaskStorageOptions, 'onWarning'> {
  backend: 'postgres';
}

/** Which backend holds the tasks, and how it is reached. */
export type TaskStorageModuleOptions = MemoryBackendOptions | PostgresBackendOptions;

type OptionNames<T> = Readonly<Record<keyof T, true>>;

const MEMORY_OPTIONS: OptionNames<MemoryBackendOptions> = { backend: true, maxTasks: true };

const POSTGRES_OPTIONS: OptionNames<PostgresBackendOptions> = {
  backend: true,
  connectionString: true,
  dataSource: true,
  schema: true,
  table: true,
  migrations: true,
  adoptedTimeZone: true,
  poolSize: true,
  connectTimeoutMs: true,
  statementTimeoutMs: true,
  lockTimeoutMs: true,
  connectRetryMs: true,
};

const OPTIONS_BY_BACKEND = { memory: MEMORY_OPTIONS, postgres: POSTGRES_OPTIONS };

/** Factories written in JavaScript may forget to return. */
function assertGiven(options: unknown): void {
  if (typeof options !== 'object' || options === null) {
    throw new ConfigurationError(
      `The options of the task storage are ${String(options)}; give at least { backend: 'memory' }`,
    );
  }
}

/** @throws {ConfigurationError} when the backend is unknown or an option is not one of its own */
export function assertStorageOptions(options: TaskStorageModuleOptions): void {
  assertGiven(options);
  const { backend }: { backend: string } = options;
  if (backend !== 'memory' && backend !== 'postgres') {
    throw new ConfigurationError(`backend is ${JSON.stringify(backend)}; write memory or postgres`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !Object.hasOwn(OPTIONS_BY_BACKEND[backend], name)) {
      const other = backend === 'memory' ? 'postgres' : 'memory';
      throw new ConfigurationError(
        Object.hasOwn(OPTIONS_BY_BACKEND[other], name)
          ? `${name} is an option of the ${other} backend, but backend is ${backend}; change one of them`
          : `${name} is not an option of the ${backend} backend; known are ${Object.keys(OPTIONS_BY_BACKEND[backend]).join(', ')}`,
      );
    }
  }
}
