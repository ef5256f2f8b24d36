import { setTimeout as delay } from 'node:timers/promises';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { TaskStorageError } from '../../task/errors.js';
import { describeHosts } from './connection-string.js';
import { isLockTimeout, toTaskStorageError } from './postgres-errors.js';
import type { ResolvedPostgresOptions } from './resolve-postgres-options.js';
import { silentLogger } from './silent-logger.js';
import { HostList } from './writable-host.js';

/** Of node-postgres. */
const DEFAULT_POOL_SIZE = 10;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;
/**
 * Between the statements of a transaction nothing is waited for. A process that is frozen there must
 * not keep the others from creating and claiming tasks.
 */
const MAX_IDLE_MS = 5_000;
/** How much longer the client waits than the server works, so that the server answers first. */
const CLIENT_PATIENCE_MS = 2_000;

/**
 * The storage's own data source. node-postgres has no time-outs by default: all are set. A new connection
 * is handed out only if its server takes writes.
 *
 * @param urls one for each host of the connection string
 */
export function createDataSource(
  urls: readonly string[],
  options: ResolvedPostgresOptions,
): DataSource {
  const [url = ''] = urls;
  return new DataSource({
    type: 'postgres',
    url,
    applicationName: 'nestjs-task-storage',
    poolSize: options.poolSize,
    connectTimeoutMS: options.connectTimeoutMs,
    installExtensions: false,
    logger: silentLogger,
    poolErrorHandler: (error: unknown) =>
      options.onWarning(`An idle Postgres connection was lost: ${messageOf(error)}`),
    extra: {
      statement_timeout: options.statementTimeoutMs,
      lock_timeout: options.lockTimeoutMs,
      idle_in_transaction_session_timeout: Math.min(options.statementTimeoutMs, MAX_IDLE_MS),
      query_timeout: options.statementTimeoutMs + CLIENT_PATIENCE_MS,
      keepAlive: true,
      Client: new HostList(urls, options.connectTimeoutMs).clientClass(),
    },
  });
}

/**
 * A data source for one session that changes the tables: as long as it takes, but not waiting for
 * a lock longer than anything else.
 */
export function createMigrationDataSource(
  base: DataSource,
  migrations: NonNullable<DataSourceOptions['migrations']>,
  migrationsTableName: string,
  schema: string,
  lockTimeoutMs: number,
): DataSource {
  const { options } = base;
  if (options.type !== 'postgres') {
    throw new TaskStorageError('MISCONFIGURED', `dataSource is of type "${options.type}"`);
  }
  const extra: unknown = options.extra;
  return new DataSource({
    ...options,
    entities: [],
    subscribers: [],
    migrations,
    migrationsRun: false,
    migrationsTableName,
    schema,
    synchronize: false,
    dropSchema: false,
    cache: false,
    logger: silentLogger,
    poolSize: 1,
    extra: {
      ...(typeof extra === 'object' ? extra : {}),
      max: 1,
      statement_timeout: 0,
      query_timeout: 0,
      idle_in_transaction_session_timeout: 0,
      lock_timeout: lockTimeoutMs,
    },
  });
}

/**
 * Connects, trying again with growing pauses while the database is not up.
 *
 * @throws {TaskStorageError} `UNAVAILABLE` when the time is over, or at once what trying again
 *   cannot mend, such as a wrong password
 */
export async function connectWithRetry(
  connect: () => Promise<unknown>,
  retryForMs: number,
  onWarning: (message: string) => void,
): Promise<void> {
  const deadline = Date.now() + retryForMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await connect();
      return;
    } catch (error) {
      const failure = toTaskStorageError(error);
      const pauseMs = Math.min(FIRST_RETRY_MS * 2 ** (attempt - 1), LONGEST_RETRY_MS);
      if (failure.code !== 'UNAVAILABLE') {
        throw failure;
      }
      if (Date.now() + pauseMs > deadline) {
        throw new TaskStorageError('UNAVAILABLE', `${failure.message}; ${adviceFor(failure)}`, {
          cause: failure.cause,
        });
      }
      onWarning(`${failure.message} (attempt ${attempt}); trying again in ${pauseMs} ms`);
      await delay(pauseMs);
    }
  }
}

function adviceFor(failure: TaskStorageError): string {
  return isLockTimeout(failure.cause)
    ? 'another process migrates or uses the tables; start again when it is done, or set a longer connectRetryMs (POSTGRES_CONNECT_RETRY_MS)'
    : 'start the database, or correct the connection string (POSTGRES_CONNECTION_STRING)';
}

/** How many connections a data source may have; as many as the driver's own default if it does not say. */
export function poolSizeOf(dataSource: DataSource): number {
  const { poolSize, extra }: { poolSize?: unknown; extra?: unknown } = dataSource.options;
  const max = typeof extra === 'object' && extra !== null && 'max' in extra ? extra.max : poolSize;
  return typeof max === 'number' ? max : DEFAULT_POOL_SIZE;
}

/** Where a data source connects to, without its password. */
export function describeTarget(dataSource: DataSource): string {
  const { options } = dataSource;
  if (options.type !== 'postgres') {
    return options.type;
  }
  if (options.url !== undefined && URL.canParse(options.url)) {
    return describeHosts([options.url]);
  }
  const host = typeof options.host === 'string' ? options.host : 'localhost';
  return `postgres at ${host}:${options.port ?? 5432}/${options.database ?? ''}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
