import { DataSource } from 'typeorm';
import { InvalidTaskError, TaskStorageError } from '../../task/errors.js';
import { hostUrlsOf } from './connection-string.js';
import { poolSizeOf } from './data-source.js';
import {
  MAX_TIMEOUT_MS,
  type PostgresTaskStorageOptions,
} from './postgres-task-storage-options.js';

/** The options with their defaults. */
export interface ResolvedPostgresOptions {
  /** The URLs of the hosts of a connection string, or an application's own data source. */
  readonly source: { readonly urls: readonly string[] } | { readonly dataSource: DataSource };
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

/** One that hears of changes, one for work that runs exclusively (retention), one for all the rest. */
const SMALLEST_POOL = 3;

/** What an application's own data source has decided by itself. */
const OF_OUR_OWN_POOL = [
  'poolSize',
  'connectTimeoutMs',
  'statementTimeoutMs',
  'lockTimeoutMs',
] as const;

const EXAMPLE = 'postgresql://user:password@localhost:5432/agent_tasks';

const LIST_EXAMPLE = 'postgresql://user:password@host-1:5432,host-2:5432/agent_tasks';

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
    migrations: migrationsMode(options.migrations ?? 'auto'),
    adoptedTimeZone: options.adoptedTimeZone ?? 'UTC',
    poolSize: between('poolSize', options.poolSize ?? 10, SMALLEST_POOL, 10_000),
    connectTimeoutMs: between(
      'connectTimeoutMs',
      options.connectTimeoutMs ?? 5_000,
      1,
      MAX_TIMEOUT_MS,
    ),
    statementTimeoutMs: between(
      'statementTimeoutMs',
      options.statementTimeoutMs ?? 15_000,
      1,
      MAX_TIMEOUT_MS,
    ),
    lockTimeoutMs: between('lockTimeoutMs', options.lockTimeoutMs ?? 5_000, 1, MAX_TIMEOUT_MS),
    connectRetryMs: between('connectRetryMs', options.connectRetryMs ?? 30_000, 0, MAX_TIMEOUT_MS),
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
    const misplaced = OF_OUR_OWN_POOL.find((option) => options[option] !== undefined);
    if (misplaced !== undefined) {
      throw misconfigured(`${misplaced} is decided by the dataSource; leave it out`);
    }
    assertLargeEnough(dataSource);
    return { dataSource };
  }
  if (connectionString === undefined || connectionString === '') {
    throw misconfigured(
      `The postgres storage needs a connectionString or a dataSource, for example ${EXAMPLE}`,
    );
  }
  const urls = hostUrlsOf(connectionString);
  if (urls.length > 1 && urls.some((url) => !hasOneHost(url))) {
    throw misconfigured(
      `connectionString (POSTGRES_CONNECTION_STRING) has a list of hosts with one that is empty or wrong, or a host parameter beside it; write one such as ${LIST_EXAMPLE}`,
    );
  }
  if (urls.length === 0 || !urls.every((url) => URL.canParse(url))) {
    // Not quoted: whatever it is, it may hold a password.
    throw misconfigured(
      `connectionString (POSTGRES_CONNECTION_STRING) is not a Postgres URL; write one such as ${EXAMPLE}`,
    );
  }
  if (urls.some(hasListAsParameter)) {
    throw misconfigured(
      `connectionString (POSTGRES_CONNECTION_STRING) has several hosts or ports in its parameters; write them before the database, such as ${LIST_EXAMPLE}`,
    );
  }
  if (!urls.every(isDecodable)) {
    throw misconfigured(
      'connectionString (POSTGRES_CONNECTION_STRING) has a % that is not part of an escape; percent-encode the user and the password, % as %25',
    );
  }
  return { urls };
}

function hasOneHost(url: string): boolean {
  if (!URL.canParse(url)) {
    return false;
  }
  const { hostname, searchParams } = new URL(url);
  return hostname !== '' && !searchParams.has('host') && !searchParams.has('port');
}

/** The other form of libpq (`?host=a,b`), which node-postgres takes for the name of one host. */
function hasListAsParameter(url: string): boolean {
  const { searchParams } = new URL(url);
  return ['host', 'port'].some((name) => searchParams.get(name)?.includes(','));
}

function between(option: string, value: number, minimum: number, maximum: number): number {
  if (!Number.isSafeInteger(value) || value < minimum || value > maximum) {
    throw new InvalidTaskError(
      option,
      `is ${String(value)}; write a whole number from ${minimum} to ${maximum}`,
    );
  }
  return value;
}

function migrationsMode(mode: string): 'auto' | 'manual' {
  if (mode !== 'auto' && mode !== 'manual') {
    throw misconfigured(`migrations is ${JSON.stringify(mode)}; write auto or manual`);
  }
  return mode;
}

/** node-postgres decodes the parts of the URL, and says nothing of which could not be. */
function isDecodable(url: string): boolean {
  const { username, password, pathname } = new URL(url);
  try {
    [username, password, pathname].forEach(decodeURIComponent);
    return true;
  } catch {
    return false;
  }
}

function assertLargeEnough(dataSource: DataSource): void {
  const max = poolSizeOf(dataSource);
  if (max < SMALLEST_POOL) {
    throw misconfigured(
      `dataSource has a pool of ${max} connections; give it at least ${SMALLEST_POOL}`,
    );
  }
}

function misconfigured(message: string): TaskStorageError {
  return new TaskStorageError('MISCONFIGURED', message);
}
