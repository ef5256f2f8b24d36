import type { DataSource } from 'typeorm';
import { InvalidTaskError, TaskStorageError } from '../../task/errors.js';

/** How a Postgres task storage finds and uses its database. Give one of the first two. */
export interface PostgresStorageOptions {
  /** For example `postgresql://user:password@localhost:5432/agent_tasks`. */
  connectionString?: string | undefined;
  /** The application's own, initialized data source; it is used, never closed. */
  dataSource?: DataSource | undefined;
  /** The schema of the tables. Default `public`. */
  schema?: string | undefined;
  /** The table of the tasks; its companions are named after it. Default `agent_tasks`. */
  table?: string | undefined;
  /**
   * `auto` (the default) brings the tables up to date at start; `manual` only checks them, for
   * accounts without the right to change them.
   */
  migrations?: 'auto' | 'manual' | undefined;
  /** The zone in which the original service wrote the times of an adopted table. Default `UTC`. */
  adoptedTimeZone?: string | undefined;
  /** The most connections, at least 2. Default 10. Not for a `dataSource`, which has its own. */
  poolSize?: number | undefined;
  /** How long to wait for a connection. Default 5000. Not for a `dataSource`. */
  connectTimeoutMs?: number | undefined;
  /** How long a statement may take. Default 15000. Not for a `dataSource`. */
  statementTimeoutMs?: number | undefined;
  /** How long a statement may wait for a lock. Default 5000. Not for a `dataSource`. */
  lockTimeoutMs?: number | undefined;
  /** How long to keep trying at start while the database is not up. Default 30000; 0 never. */
  connectRetryMs?: number | undefined;
  /** Where warnings go, such as a line for each failed attempt to connect. Default nowhere. */
  onWarning?: ((message: string) => void) | undefined;
}

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
export function resolvePostgresOptions(options: PostgresStorageOptions): ResolvedPostgresOptions {
  return {
    source: resolveSource(options),
    schema: options.schema ?? 'public',
    table: options.table ?? 'agent_tasks',
    migrations: options.migrations ?? 'auto',
    adoptedTimeZone: options.adoptedTimeZone ?? 'UTC',
    // One for the work that runs exclusively, one for what that work does.
    poolSize: atLeast('poolSize', options.poolSize ?? 10, 2),
    connectTimeoutMs: atLeast('connectTimeoutMs', options.connectTimeoutMs ?? 5_000, 1),
    statementTimeoutMs: atLeast('statementTimeoutMs', options.statementTimeoutMs ?? 15_000, 1),
    lockTimeoutMs: atLeast('lockTimeoutMs', options.lockTimeoutMs ?? 5_000, 1),
    connectRetryMs: atLeast('connectRetryMs', options.connectRetryMs ?? 30_000, 0),
    onWarning: options.onWarning ?? (() => undefined),
  };
}

function resolveSource(options: PostgresStorageOptions): ResolvedPostgresOptions['source'] {
  const { connectionString, dataSource } = options;
  if (dataSource !== undefined && connectionString !== undefined) {
    throw misconfigured('connectionString and dataSource exclude each other; give one of them');
  }
  if (dataSource !== undefined) {
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
    throw misconfigured(`The postgres storage needs a connectionString, for example ${EXAMPLE}`);
  }
  if (!/^postgres(ql)?:\/\//.test(connectionString) || !URL.canParse(connectionString)) {
    // Not quoted: whatever it is, it may hold a password.
    throw misconfigured(`connectionString is not a Postgres URL; write one such as ${EXAMPLE}`);
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
