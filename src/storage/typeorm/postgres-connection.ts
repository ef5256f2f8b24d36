import type { DataSource, QueryRunner } from 'typeorm';
import { TaskStorageError } from '../../task/errors.js';
import { isConnectionGone, toTaskStorageError } from './postgres-errors.js';
import type { SqlStatement } from './sql-parameters.js';

/** One row as the driver gives it. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** Sends one statement. Every statement of the storage ends in a SELECT, so rows come back. */
export type SendStatement = (statement: SqlStatement) => Promise<readonly SqlRow[]>;

/** The way to the database: every failure comes out as a {@link TaskStorageError}. */
export class PostgresConnection {
  #isClosed = false;

  /** @param ownsDataSource whether closing the storage closes the data source too */
  constructor(
    private readonly dataSource: DataSource,
    private readonly ownsDataSource: boolean,
  ) {}

  readonly send: SendStatement = async (statement) => {
    return this.withSession(async (sendInSession) => sendInSession(statement));
  };

  /** Runs the work in one transaction, committed when it resolves. */
  async transaction<T>(work: (send: SendStatement) => Promise<T>): Promise<T> {
    return this.withSession(async (send) => {
      await send({ text: 'BEGIN', values: [] });
      try {
        const result = await work(send);
        await send({ text: 'COMMIT', values: [] });
        return result;
      } catch (error) {
        // The error that ended the transaction is the one to report; a session that cannot even
        // roll back has lost its connection, and Postgres rolls back by itself.
        await send({ text: 'ROLLBACK', values: [] }).catch(() => undefined);
        throw error;
      }
    });
  }

  /** Runs the work on one session of its own, discarded afterwards if it broke. */
  async withSession<T>(work: (send: SendStatement) => Promise<T>): Promise<T> {
    if (this.#isClosed) {
      throw new TaskStorageError('UNAVAILABLE', 'The storage is closed');
    }
    const runner = this.dataSource.createQueryRunner('master');
    let client: unknown = null;
    try {
      client = await connect(runner);
      return await work(async (statement) => sendOn(runner, client, statement));
    } finally {
      await runner.release();
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    if (this.ownsDataSource && this.dataSource.isInitialized) {
      await this.dataSource.destroy();
    }
  }
}

async function connect(runner: QueryRunner): Promise<unknown> {
  try {
    const client: unknown = await runner.connect();
    return client;
  } catch (error) {
    throw toTaskStorageError(error);
  }
}

async function sendOn(
  runner: QueryRunner,
  client: unknown,
  statement: SqlStatement,
): Promise<readonly SqlRow[]> {
  try {
    const rows: unknown = await runner.query(statement.text, [...statement.values]);
    return Array.isArray(rows) ? rows : [];
  } catch (error) {
    if (isConnectionGone(error)) {
      discard(client);
    }
    throw toTaskStorageError(error);
  }
}

/** Ends a driver's client: the pool drops a client that is ending when it comes back. */
function discard(client: unknown): void {
  if (typeof client === 'object' && client !== null && 'end' in client) {
    const { end } = client;
    if (typeof end === 'function') {
      Promise.resolve(end.call(client)).catch(() => undefined);
    }
  }
}
