import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { TaskStorageError } from '../../task/errors.js';
import { PageTokenCodec } from '../../task/page-token.js';
import { parseName, parseTenantId } from '../../task/task-input.js';
import type { TaskChanges } from '../../task/task-change.js';
import type { TaskLeases } from '../../task/task-lease.js';
import type {
  ExclusiveResult,
  SettingsStorage,
  TaskOperations,
  TaskStorage,
} from '../../task/task-storage.js';
import { describeHosts } from './connection-string.js';
import { connectWithRetry, createDataSource, describeTarget, poolSizeOf } from './data-source.js';
import { GatheredCalls } from './gathered-calls.js';
import { PAGE_TOKEN_KEY_SETTING } from './migrations/create-storage-columns.js';
import { prepareSchema } from './migrator.js';
import { PostgresChanges } from './postgres-changes.js';
import { CLOSE_LIMIT_MS, PostgresConnection } from './postgres-connection.js';
import type { PostgresContext } from './postgres-context.js';
import { PostgresLeases } from './postgres-leases.js';
import { PostgresSettings } from './postgres-settings.js';
import type { PostgresTaskStorageOptions } from './postgres-task-storage-options.js';
import { resolvePostgresOptions } from './resolve-postgres-options.js';
import { PostgresTaskOperations } from './postgres-task-operations.js';
import { SchemaNames } from './schema-names.js';
import type { SqlStatement } from './sql-parameters.js';
import { ASK_READ_ONLY, assertWritable } from './writable-host.js';

/**
 * By default Postgres keeps the session of a host that has vanished, and the locks of that session,
 * for two hours; after this, for a minute.
 */
const NOTICE_LOST_HOSTS: SqlStatement = {
  text: `SELECT set_config('tcp_keepalives_idle', '30', false),
    set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false)`,
  values: [],
};

/** Tasks in Postgres, through a TypeORM data source. */
class PostgresTaskStorage extends PostgresTaskOperations implements TaskStorage {
  readonly settings: SettingsStorage;
  readonly leases: TaskLeases;
  readonly #changes: PostgresChanges;

  constructor(
    context: PostgresContext & { readonly changes: PostgresChanges },
    readonly description: string,
  ) {
    super(context, null);
    this.settings = new PostgresSettings(context.connection, context.names);
    this.leases = new PostgresLeases(context);
    this.#changes = context.changes;
  }

  get changes(): TaskChanges {
    return this.#changes;
  }

  forTenant(tenantId: string): TaskOperations {
    return new PostgresTaskOperations(this.context, parseTenantId(tenantId));
  }

  async ping(): Promise<void> {
    await this.context.connection.withSession(async ({ send, discard }) => {
      try {
        assertWritable({ rows: await send({ text: ASK_READ_ONLY, values: [] }) });
      } catch (error) {
        // The next ping goes to whichever server the address leads to by then.
        discard();
        throw error;
      }
    });
  }

  async runExclusively<T>(
    name: string,
    work: (lost: AbortSignal) => Promise<T>,
  ): Promise<ExclusiveResult<T>> {
    const { connection, names } = this.context;
    const lock = [names.lock(`exclusive:${parseName(name)}`)];
    return connection.withSession(async ({ send, lost, discard }) => {
      const [row] = await send({
        text: 'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked',
        values: lock,
      });
      if (row?.['locked'] !== true) {
        return { ran: false };
      }
      try {
        await send(NOTICE_LOST_HOSTS);
        return { ran: true, value: await work(lost) };
      } finally {
        // A session that cannot unlock must end, which releases the lock as well.
        await send({
          text: 'SELECT pg_advisory_unlock(hashtextextended($1, 0))',
          values: lock,
        }).catch(discard);
      }
    });
  }

  async close(): Promise<void> {
    const deadlineMs = performance.now() + CLOSE_LIMIT_MS;
    await Promise.race([
      this.context.calls.close(),
      delay(CLOSE_LIMIT_MS, undefined, { ref: false }),
    ]);
    await this.#changes.close();
    await this.context.connection.close(Math.max(0, deadlineMs - performance.now()));
  }
}

/**
 * Opens a task storage in Postgres: connects, and brings the tables up to date or checks them.
 *
 * @throws {TaskStorageError} `MISCONFIGURED` when an option is wrong, the tables are newer than
 *   this version, or missing and not to be made; `UNAVAILABLE` when the database did not come up
 */
export async function createPostgresTaskStorage(
  options: PostgresTaskStorageOptions,
): Promise<TaskStorage> {
  const resolved = resolvePostgresOptions(options);
  const names = new SchemaNames(resolved.schema, resolved.table);
  const { source } = resolved;
  const ownsDataSource = 'urls' in source;
  const dataSource: DataSource = ownsDataSource
    ? createDataSource(source.urls, resolved)
    : source.dataSource;
  const target = ownsDataSource ? describeHosts(source.urls) : describeTarget(dataSource);
  const connection = new PostgresConnection(dataSource, ownsDataSource);
  try {
    await connectWithRetry(
      async () => {
        if (!dataSource.isInitialized) {
          await dataSource.initialize();
        }
        await prepareSchema(dataSource, connection, names, resolved);
      },
      resolved.connectRetryMs,
      resolved.onWarning,
    );
    const pageTokens = new PageTokenCodec(await readPageTokenKey(connection, names));
    const description = `${target}, table ${names.schema}.${names.table}`;
    const changes = new PostgresChanges(connection, names.channel, resolved.onWarning);
    changes.start();
    const calls = new GatheredCalls(
      connection,
      names,
      poolSizeOf(dataSource),
      resolved.connectTimeoutMs,
    );
    const { onWarning } = resolved;
    return new PostgresTaskStorage(
      { connection, calls, names, pageTokens, changes, onWarning },
      description,
    );
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** The key is in the database, so that a token cut by one process is good for all of them. */
async function readPageTokenKey(
  connection: PostgresConnection,
  names: SchemaNames,
): Promise<Buffer> {
  const [row] = await connection.send({
    text: `SELECT value->>'key' AS key FROM ${names.settings} WHERE name = $1`,
    values: [PAGE_TOKEN_KEY_SETTING],
  });
  const key = row?.['key'];
  if (typeof key !== 'string') {
    throw new TaskStorageError(
      'CORRUPT',
      `The row ${PAGE_TOKEN_KEY_SETTING} of ${names.settings} is missing; put it back with the value {"key": "<random text>"}`,
    );
  }
  return Buffer.from(key);
}
