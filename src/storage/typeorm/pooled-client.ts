import { EventEmitter } from 'node:events';
import type { DataSource } from 'typeorm';
import { TaskStorageError } from '../../task/errors.js';
import { prepareText } from './prepared-texts.js';
import type { SqlStatement } from './sql-parameters.js';

/** What is used of a node-postgres client that came out of a pool. */
export interface PostgresClient extends EventEmitter {
  query(query: object, tell?: Tell<unknown>): unknown;
  end(): Promise<void>;
  release(isBroken: boolean): void;
}

/** A client that is out of the pool, and how to give it back. */
export interface TakenClient {
  readonly client: PostgresClient;
  /** @param isBroken makes the pool throw it away */
  readonly release: (isBroken: boolean) => unknown;
}

/** Is told an error, or what there is without one. */
type Tell<T> = (error: unknown, value: T) => void;

/** What is used of a pool of node-postgres. */
interface PostgresPool extends EventEmitter {
  connect(tell: Tell<unknown>): unknown;
}

/** Those that have been looked at: a look costs more than a statement may. */
const pools = new WeakSet<object>();
const clients = new WeakSet<object>();

/**
 * Takes a client from the pool of a data source. Directly, because a query runner for each statement
 * costs more than the statement; and with callbacks, because promises cost as much as the rest of it.
 */
export function takeClient(
  { driver }: DataSource,
  use: (client: PostgresClient) => void,
  fail: (error: unknown) => void,
): void {
  const give = (client: PostgresClient): void => {
    try {
      use(client);
    } catch (thrown) {
      // Nobody catches what is thrown in a callback of the driver.
      fail(thrown);
    }
  };
  try {
    toHeardPool(driver).connect((error, client) => {
      if (error) {
        fail(error);
      } else if (isKnownClient(client)) {
        give(client);
      } else if (isPostgresClient(client)) {
        clients.add(client);
        hearClient(client);
        // What an application sends on a new client goes first.
        queueMicrotask(() => give(client));
      } else {
        fail(noPostgresClient());
      }
    });
  } catch (thrown) {
    fail(thrown);
  }
}

/**
 * Takes a client for work that may take long, through a query runner: whoever destroys the data source
 * has those given back, where it would wait for other clients for as long as they are out.
 */
export async function takeSession(dataSource: DataSource): Promise<TakenClient> {
  const runner = dataSource.createQueryRunner('master');
  const client = toHeardClient(await runner.connect());
  return { client, release: async () => runner.release() };
}

const ignore = (): void => undefined;

/**
 * Sees to it that no error of a client goes unheard, which would end the process. The pool listens only
 * to those that are not out; it sees for itself that a client cannot be used again.
 */
export function hearClient(client: EventEmitter): void {
  if (!client.listeners('error').includes(ignore)) {
    client.on('error', ignore);
  }
}

function toHeardClient(client: unknown): PostgresClient {
  if (isKnownClient(client)) {
    return client;
  }
  if (!isPostgresClient(client)) {
    throw noPostgresClient();
  }
  clients.add(client);
  hearClient(client);
  return client;
}

function noPostgresClient(): TaskStorageError {
  return new TaskStorageError('INTERNAL', 'The pool of the dataSource gave out no Postgres client');
}

/** A new session may be ended in the packet that greets it, before its client is handed out. */
function toHeardPool(driver: object): PostgresPool {
  const pool: unknown = 'master' in driver ? driver.master : undefined;
  if (isKnownPool(pool)) {
    return pool;
  }
  if (!isPool(pool)) {
    throw new TaskStorageError('UNAVAILABLE', 'The dataSource is not connected');
  }
  pools.add(pool);
  pool.on('connect', hearClient);
  return pool;
}

function isKnownClient(value: unknown): value is PostgresClient {
  return typeof value === 'object' && value !== null && clients.has(value);
}

function isKnownPool(value: unknown): value is PostgresPool {
  return typeof value === 'object' && value !== null && pools.has(value);
}

function isPool(value: unknown): value is PostgresPool {
  return value instanceof EventEmitter && typeof Reflect.get(value, 'connect') === 'function';
}

function isPostgresClient(value: unknown): value is PostgresClient {
  return (
    value instanceof EventEmitter &&
    ['query', 'end', 'release'].every((method) => typeof Reflect.get(value, method) === 'function')
  );
}

/** The types of Postgres that are not read as text: https://www.postgresql.org/docs/18/catalog-pg-type.html */
const PARSERS: ReadonlyMap<number, (text: string) => unknown> = new Map<
  number,
  (text: string) => unknown
>([
  [16, (text) => text === 't'], // bool
  [20, Number], // int8
  [23, Number], // int4
]);

const asText = (text: string): string => text;

/** Our own, because an application may have told the driver to parse in its own way. */
export const OWN_TYPES = { getTypeParser: (oid: number) => PARSERS.get(oid) ?? asText };

/** Sends a query, prepared once on each connection. */
export function sendPrepared(
  client: PostgresClient,
  { text, name, values }: SqlStatement,
  tell: Tell<unknown>,
): void {
  const prepared = name === undefined ? prepareText(text) : { text, name };
  client.query({ text: prepared.text, name: prepared.name, values, types: OWN_TYPES }, tell);
}

/** The driver's own class of queries; each copy of the driver has another. */
type QueryClass = new (
  text: string,
  values: readonly unknown[],
  tell: Tell<unknown>,
) => { name?: string | undefined };

/**
 * Sends a statement that answers no rows, prepared likewise. As a query of the driver's own class, which
 * it takes as it is: an object that only describes one it copies, property by property, which costs as
 * much as half of what is done here.
 */
export function sendWrite(
  client: PostgresClient,
  statement: SqlStatement,
  tell: Tell<unknown>,
): void {
  const Query: unknown = Reflect.get(client.constructor, 'Query');
  if (isQueryClass(Query)) {
    const { text, name } = statement.name === undefined ? prepareText(statement.text) : statement;
    const query = new Query(text, statement.values, tell);
    query.name = name;
    client.query(query);
  } else {
    sendPrepared(client, statement, tell);
  }
}

function isQueryClass(value: unknown): value is QueryClass {
  return typeof value === 'function';
}

/** Sends a query as node-postgres takes it. */
export async function sendQuery(
  client: Pick<PostgresClient, 'query'>,
  query: object,
): Promise<unknown> {
  return answerTo((tell) => client.query(query, tell));
}

/** What is told, as a promise. */
export async function answerTo<T>(ask: (tell: Tell<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    ask((error, value) => (error ? reject(error) : resolve(value)));
  });
}
