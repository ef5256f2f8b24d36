import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource, QueryRunner } from 'typeorm';
import { TaskStorageError } from '../../task/errors.js';
import { isConnectionGone, toTaskStorageError } from './postgres-errors.js';
import type { SqlStatement } from './sql-parameters.js';

/** One row as the driver gives it. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** Sends one statement. All that answer anything end in a SELECT, so rows come back. */
export type SendStatement = (statement: SqlStatement) => Promise<readonly SqlRow[]>;

/** One connection, for as long as some work needs it. */
export interface PostgresSession {
  readonly send: SendStatement;
  /** Aborted when the connection is lost, and with it the locks that it holds. */
  readonly lost: AbortSignal;
  /** Calls back with the payload of each notification on the channel, until the work is over. */
  readonly onNotification: (channel: string, listener: (payload: string) => void) => void;
  /** Makes the pool throw the connection away when the work is over. */
  readonly discard: () => void;
}

/** How long closing waits for statements under way; the longest of them has a time-out as well. */
const CLOSE_LIMIT_MS = 5_000;
const CLOSE_POLL_MS = 20;

/** The way to the database: every failure comes out as a {@link TaskStorageError}. */
export class PostgresConnection {
  #isClosed = false;
  #openSessions = 0;

  /** @param ownsDataSource whether closing the storage closes the data source too */
  constructor(
    private readonly dataSource: DataSource,
    private readonly ownsDataSource: boolean,
  ) {}

  readonly send: SendStatement = async (statement) => {
    return this.withSession(async (session) => session.send(statement));
  };

  /** Runs the work in one transaction, committed when it resolves. */
  async transaction<T>(work: (send: SendStatement) => Promise<T>): Promise<T> {
    return this.withSession(async ({ send, discard }) => {
      // Said, because a database may have another default, under which a statement that has waited
      // for a lock still sees what was there before the wait.
      await send({ text: 'BEGIN ISOLATION LEVEL READ COMMITTED', values: [] });
      try {
        const result = await work(send);
        await send({ text: 'COMMIT', values: [] });
        return result;
      } catch (error) {
        // The error that ended the transaction is the one to report.
        await send({ text: 'ROLLBACK', values: [] }).catch(discard);
        throw error;
      }
    });
  }

  /** Runs the work on one session of its own, discarded afterwards if it broke. */
  async withSession<T>(work: (session: PostgresSession) => Promise<T>): Promise<T> {
    if (this.#isClosed) {
      throw new TaskStorageError('UNAVAILABLE', 'The storage is closed');
    }
    const runner = this.dataSource.createQueryRunner('master');
    const lost = new AbortController();
    const unsubscribe: (() => void)[] = [];
    this.#openSessions += 1;
    try {
      const client = await connect(runner);
      unsubscribe.push(subscribe(client, 'end', () => lost.abort()));
      return await work({
        send: async (statement) => sendOn(runner, client, statement),
        lost: lost.signal,
        onNotification: (channel, listener) => {
          unsubscribe.push(
            subscribe(client, 'notification', (message) => {
              if (isNotification(message) && message.channel === channel) {
                listener(message.payload);
              }
            }),
          );
        },
        discard: () => endClient(client),
      });
    } finally {
      unsubscribe.forEach((end) => end());
      await runner.release();
      this.#openSessions -= 1;
    }
  }

  /** Lets what is under way end, and then gives the connections back. */
  async close(): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    const deadline = Date.now() + CLOSE_LIMIT_MS;
    while (this.#openSessions > 0 && Date.now() < deadline) {
      await delay(CLOSE_POLL_MS);
    }
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
      endClient(client);
    }
    throw toTaskStorageError(error);
  }
}

/** Ends a driver's client: the pool drops a client that is ending when it comes back. */
function endClient(client: unknown): void {
  if (typeof client === 'object' && client !== null && 'end' in client) {
    const { end } = client;
    if (typeof end === 'function') {
      Promise.resolve(end.call(client)).catch(() => undefined);
    }
  }
}

/**
 * A driver's client is an event emitter; the driver does not say so in TypeORM's types.
 *
 * @returns ends the subscription
 */
function subscribe(
  client: unknown,
  event: 'end' | 'notification',
  listener: (message: unknown) => void,
): () => void {
  if (!(client instanceof EventEmitter)) {
    return () => undefined;
  }
  client.on(event, listener);
  return () => client.off(event, listener);
}

function isNotification(message: unknown): message is { channel: string; payload: string } {
  return (
    typeof message === 'object' &&
    message !== null &&
    'channel' in message &&
    typeof message.channel === 'string' &&
    'payload' in message &&
    typeof message.payload === 'string'
  );
}

/** For statements that always answer one row. */
export function onlyRow(rows: readonly SqlRow[]): SqlRow {
  const [row] = rows;
  if (row === undefined) {
    throw new TaskStorageError('INTERNAL', 'Postgres answered no row where there is always one');
  }
  return row;
}
