import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { TaskStorageError } from '../../task/errors.js';
import {
  answerTo,
  sendPrepared,
  sendQuery,
  sendWrite,
  takeClient,
  takeSession,
  type PostgresClient,
  type TakenClient,
} from './pooled-client.js';
import { isConnectionGone, toTaskStorageError, toWriteError } from './postgres-errors.js';
import type { SqlStatement } from './sql-parameters.js';

/** One row as the driver gives it. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** Sends one statement. @returns the rows that it selects, or returns of those that it writes */
export type SendStatement = (statement: SqlStatement) => Promise<readonly SqlRow[]>;

/** One connection, for as long as some work needs it. */
export interface PostgresSession {
  readonly send: SendStatement;
  /** Aborted when the connection is lost, and with it the locks that it holds. */
  readonly lost: AbortSignal;
  /** Calls back with the payload of each notification on the channel, until the work is over. */
  readonly onNotification: (channel: string, listener: (payload: string) => void) => void;
  /** Ends the connection, and what is under way on it. */
  readonly discard: () => void;
}

/** What writes begins with another word; a SELECT that calls a function leaves nothing that matters. */
const READS = /^\s*SELECT\b/;

/** How long closing waits for statements under way; the longest of them has a time-out as well. */
export const CLOSE_LIMIT_MS = 5_000;
const CLOSE_POLL_MS = 20;
/** How long closing waits for the pool, which waits for connections that are being made. */
const POOL_LIMIT_MS = 1_000;

/** The way to the database: every failure comes out as a {@link TaskStorageError}. */
export class PostgresConnection {
  #isClosed = false;
  /** Few at once, so that looking through them costs less than a set. */
  readonly #taken: PostgresClient[] = [];

  /** @param ownsDataSource whether closing the storage closes the data source too */
  constructor(
    private readonly dataSource: DataSource,
    private readonly ownsDataSource: boolean,
  ) {}

  readonly send: SendStatement = async (statement) =>
    rowsOf(await this.#query(statement, sendPrepared));

  /** Sends one statement that answers no rows. @returns how many it wrote */
  async write(statement: SqlStatement): Promise<number> {
    return countOf(await this.#query(statement, sendWrite));
  }

  #query(statement: SqlStatement, sendOn: typeof sendPrepared): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#assertOpen();
      const send = (client: PostgresClient): void => {
        let isOver = false;
        const tell = (error: unknown, answer: unknown): void => {
          // The driver tells of a statement that it could not write, and once more of its end.
          if (isOver) {
            return;
          }
          isOver = true;
          // Settled first: giving a client back calls listeners of the application.
          if (error) {
            reject(READS.test(statement.text) ? toTaskStorageError(error) : toWriteError(error));
          } else {
            resolve(answer);
          }
          this.#forget(client);
          releaseQuietly(client, Boolean(error) && isConnectionGone(error));
        };
        this.#taken.push(client);
        try {
          sendOn(client, statement, tell);
        } catch (thrown) {
          tell(thrown, undefined);
        }
      };
      takeClient(this.dataSource, send, (error) => reject(toTaskStorageError(error)));
    });
  }

  /**
   * Runs the work in one transaction, committed when it resolves.
   *
   * @param first SQL without parameters that is sent along with the beginning of the transaction
   */
  async transaction<T>(first: string, work: (send: SendStatement) => Promise<T>): Promise<T> {
    return this.#withClient(takeAny, async (client) => {
      try {
        // Said, because a database may have another default, under which a statement that has waited
        // for a lock still sees what was there before the wait.
        await client.run(`BEGIN ISOLATION LEVEL READ COMMITTED; ${first}`);
        const result = await work(client.send);
        await client.commit();
        return result;
      } catch (error) {
        // The error that ended the transaction is the one to report.
        await client.run('ROLLBACK').catch(client.discard);
        throw error;
      }
    });
  }

  /** Runs the work on one session of its own, discarded afterwards if it broke. */
  async withSession<T>(work: (session: PostgresSession) => Promise<T>): Promise<T> {
    return this.#withClient(takeSession, async ({ send, client, discard }) => {
      const lost = new AbortController();
      const unsubscribe: (() => void)[] = [];
      const subscribe = (event: string, listener: (message: unknown) => void): void => {
        client.on(event, listener);
        unsubscribe.push(() => client.off(event, listener));
      };
      subscribe('end', () => lost.abort());
      try {
        return await work({
          send,
          lost: lost.signal,
          onNotification: (channel, listener) =>
            subscribe('notification', (message) => {
              if (isNotification(message) && message.channel === channel) {
                listener(message.payload);
              }
            }),
          discard,
        });
      } finally {
        unsubscribe.forEach((end) => end());
      }
    });
  }

  /** Lets what is under way end, but not for ever, and then gives the connections back. */
  async close(limitMs = CLOSE_LIMIT_MS): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    const deadline = performance.now() + limitMs;
    while (this.#taken.length > 0 && performance.now() < deadline) {
      await delay(CLOSE_POLL_MS);
    }
    // The pool waits for those that are out for as long as they are.
    this.#taken.forEach(endClient);
    if (this.ownsDataSource && this.dataSource.isInitialized) {
      // What is left ends by its own time-outs.
      const destroyed = this.dataSource.destroy().catch(() => undefined);
      await Promise.race([destroyed, delay(POOL_LIMIT_MS, undefined, { ref: false })]);
    }
  }

  async #withClient<T>(
    take: (dataSource: DataSource) => Promise<TakenClient>,
    work: (client: OpenClient) => Promise<T>,
  ): Promise<T> {
    this.#assertOpen();
    const { client, release } = await take(this.dataSource).catch((error: unknown) => {
      throw toTaskStorageError(error);
    });
    this.#taken.push(client);
    const open = new OpenClient(client);
    try {
      return await work(open);
    } finally {
      this.#forget(client);
      await release(open.isBroken);
    }
  }

  #assertOpen(): void {
    if (this.#isClosed) {
      throw new TaskStorageError('UNAVAILABLE', 'The storage is closed');
    }
  }

  #forget(client: PostgresClient): void {
    const index = this.#taken.indexOf(client);
    if (index >= 0) {
      this.#taken.splice(index, 1);
    }
  }
}

async function takeAny(dataSource: DataSource): Promise<TakenClient> {
  return new Promise((resolve, reject) => {
    const use = (client: PostgresClient): void =>
      resolve({ client, release: (isBroken) => client.release(isBroken) });
    takeClient(dataSource, use, reject);
  });
}

/** A client on which several statements are sent. */
class OpenClient {
  isBroken = false;

  constructor(readonly client: PostgresClient) {}

  readonly send: SendStatement = async (statement) =>
    rowsOf(await this.#guard(answerTo((tell) => sendPrepared(this.client, statement, tell))));

  /** Runs SQL that has no parameters and answers nothing. */
  async run(text: string): Promise<void> {
    await this.#guard(sendQuery(this.client, { text }));
  }

  /** @throws {OutcomeUnknownError} when the transaction may have been committed all the same */
  async commit(): Promise<void> {
    await this.#guard(sendQuery(this.client, { text: 'COMMIT' }), toWriteError);
  }

  readonly discard = (): void => {
    this.isBroken = true;
    endClient(this.client);
  };

  async #guard(sent: Promise<unknown>, toError = toTaskStorageError): Promise<unknown> {
    try {
      return await sent;
    } catch (error) {
      if (isConnectionGone(error)) {
        this.discard();
      }
      throw toError(error);
    }
  }
}

/** What is thrown in a callback of the driver ends the process. */
function releaseQuietly(client: PostgresClient, isBroken: boolean): void {
  try {
    client.release(isBroken);
  } catch {
    // A listener of the application's pool threw; the client is back all the same.
  }
}

function endClient(client: PostgresClient): void {
  client.end().catch(() => undefined);
}

function rowsOf(answer: unknown): readonly SqlRow[] {
  if (typeof answer === 'object' && answer !== null && 'rows' in answer) {
    const rows: unknown = answer.rows;
    return Array.isArray(rows) ? rows : [];
  }
  return [];
}

function countOf(answer: unknown): number {
  if (typeof answer === 'object' && answer !== null && 'rowCount' in answer) {
    const { rowCount } = answer;
    if (typeof rowCount === 'number') {
      return rowCount;
    }
  }
  throw new TaskStorageError('INTERNAL', 'Postgres did not say how many rows it wrote');
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
