/** The longest time-out, a day: timers that are set for more than 25 days fire at once. */
export const MAX_TIMEOUT_MS = 86_400_000;

/**
 * What the options ask of a TypeORM `DataSource`. Spelled out, so that the types of an application
 * without TypeORM do not depend on it.
 */
export interface TypeOrmDataSource {
  readonly isInitialized: boolean;
  readonly options: { readonly type: string };
}

/** How a Postgres task storage finds and uses its database. Give one of the first two. */
export interface PostgresTaskStorageOptions {
  /**
   * For example `postgresql://user:password@localhost:5432/agent_tasks`. With a list of hosts,
   * `host-1:5432,host-2:5432`, each connection goes to the one that takes writes.
   */
  connectionString?: string | undefined;
  /** The application's own, initialized data source; it is used, never closed. */
  dataSource?: TypeOrmDataSource | undefined;
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
  /** The most connections, at least 3. Default 10. Not for a `dataSource`, which has its own. */
  poolSize?: number | undefined;
  /**
   * How long to wait for a connection, finding its host and asking whether it takes writes included.
   * Default 5000. Not for a `dataSource`.
   */
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
