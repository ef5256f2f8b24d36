import { DataSource } from 'typeorm';
import { InvalidTaskError, TaskStorageError } from '../../task/errors.js';
import type { PostgresTaskStorageOptions } from './postgres-task-storage-options.js';

/** The options with their defaults. */
export interface ResolvedPostgresOptions {
  readonly source: { readonly connectionString: string } | { readonly dataSource: DataSource };
  readonly schema: string;
  readonly table: string;
  readonly migrations: 'auto' | 'manual';
  readonly adoptedTimeZone: string;
  readonly poolSize: number;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly connectRetryMs: number;
  readonly onWarning: (message: string) => void;
}

const EXAMPLE = 'postgresql://user:password@localhost:5432/agent_tasks';

/**
 * @throws {TaskStorageError} `MISCONFIGURED`, naming what is missing or too much
 * @throws {InvalidTaskError} naming a number out of bounds
 */
export function resolvePostgresOptions(
  options: PostgresTaskStorageOptions,
): ResolvedPostgresOptions {
  return {
    source: resolveSource(options),
    schema: options.schema ?? 'public',
    table: options.table ?? 'agent_tasks',
    migrations: options.migrations ?? 'auto',
    adoptedTimeZone: options.adoptedTimeZone ?? 'UTC',
    // Two for work that runs exclusively (a running service, its retention), one for all the rest.
    poolSize: atLeast('poolSize', options.poolSize ?? 10, 3),
    connectTimeoutMs: atLeast('connectTimeoutMs', options.connectTimeoutMs ?? 5_000, 1),
    statementTimeoutMs: atLeast('statementTimeoutMs', options.statementTimeoutMs ?? 15_000, 1),
    lockTimeoutMs: atLeast('lockTimeoutMs', options.lockTimeoutMs ?? 5_000, 1),
    connectRetryMs: atLeast('connectRetryMs', options.connectRetryMs ?? 30_000, 0),
    onWarning: options.onWarning ?? (() => undefined),
  };
}

function resolveSource(options: PostgresTaskStorageOptions): ResolvedPostgresOptions['source'] {
  const { connectionString, dataSource } = options;
  if (dataSource !== undefined && connectionString !== undefined) {
    throw misconfigured('connectionString and dataSource exclude each other; give one of them');
  }
  if (dataSource !== undefined) {
    if (!(dataSource instanceof DataSource)) {
      throw misconfigured('dataSource is not a DataSource of the installed typeorm; give one');
    }
    if (dataSource.options.type !== 'postgres') {
      throw misconfigured(
        `dataSource is of type "${dataSource.options.type}"; give one of type "postgres"`,
      );
    }
    if (!dataSource.isInitialized) {
      throw misconfigured('dataSource is not initialized; await its initialize() first');
    }
    return { dataSource };
  }
  if (connectionString === undefined || connectionString === '') {
    throw misconfigured(
      `The postgres storage needs a connectionString or a dataSource, for example ${EXAMPLE}`,
    );
  }
  if (!/^postgres(ql)?:\/\//.test(connectionString) || !URL.canParse(connectionString)) {
    // Not quoted: whatever it is, it may hold a password.
    throw misconfigured(
      `connectionString (POSTGRES_CONNECTION_STRING) is not a Postgres URL; write one such as ${EXAMPLE}`,
    );
  }
  return { connectionString };
}

function atLeast(option: string, value: number, minimum: number): number {
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw new InvalidTaskError(
      option,
      `is ${String(value)}; write a whole number from ${minimum} up`,
    );
  }
  return value;
}

function misconfigured(message: string): TaskStorageError {
  return new TaskStorageError('MISCONFIGURED', message);
}
