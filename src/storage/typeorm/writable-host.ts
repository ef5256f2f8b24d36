import pg from 'pg';
import { TaskStorageError } from '../../task/errors.js';
import { hearClient, OWN_TYPES, sendQuery } from './pooled-client.js';
import { toTaskStorageError } from './postgres-errors.js';

/** A server that takes writes. */
export interface WritableHost {
  readonly host: string;
  readonly port: number;
}

/** Asks whether a server is a standby, or was told to refuse writes. */
export const ASK_READ_ONLY = `SELECT current_setting('transaction_read_only') AS is_read_only`;

const READ_ONLY = 'Postgres takes no writes: it is read-only; is it a standby?';

/** What finding a host may take of a connection's time-out, so that there is time left to say why none was found. */
const FINDING_SHARE = 0.9;

type ConnectCallback = ((error: Error) => void) | ((error: null, client: pg.Client) => void);

/**
 * @param answer to {@link ASK_READ_ONLY}
 * @throws {TaskStorageError} `UNAVAILABLE` when it is that of a server that takes no writes
 */
export function assertWritable(answer: unknown): void {
  if (!isWritable(answer)) {
    throw new TaskStorageError('UNAVAILABLE', READ_ONLY);
  }
}

/**
 * The servers of a connection string. If there are several, one of them takes writes: another one after
 * a failover.
 */
export class HostList {
  /** The one that was found last, until a connection to it fails. */
  #known: WritableHost | null = null;
  #finding: Promise<WritableHost> | null = null;

  /**
   * @param urls one for each host
   * @param connectTimeoutMs what a connection may take, finding its host and asking it included
   */
  constructor(
    private readonly urls: readonly string[],
    private readonly connectTimeoutMs: number,
  ) {}

  /**
   * A class of clients that are connected when their server has said that it takes writes: what a standby
   * knows is too old, and a task that it does not know would seem not to exist. All of it is one connect
   * for the pool, under one time-out: what the pool does after connecting (`verify`) it does not give up
   * when the one who waits for it does, and then nobody gives the client back.
   */
  clientClass(): typeof pg.Client {
    const connectWritable = this.#connect.bind(this);
    return class extends pg.Client {
      override connect(): Promise<pg.Client>;
      override connect(tell: ConnectCallback): void;
      override connect(tell?: ConnectCallback): Promise<pg.Client> | void {
        const connected = connectWritable(this, async () => super.connect());
        if (tell === undefined) {
          return connected;
        }
        connected.then(
          (client) => Reflect.apply(tell, undefined, [null, client]),
          (error: unknown) => Reflect.apply(tell, undefined, [error]),
        );
      }
    };
  }

  async #connect(client: pg.Client, connect: () => Promise<pg.Client>): Promise<pg.Client> {
    const deadlineMs = performance.now() + this.connectTimeoutMs;
    hearClient(client);
    const target = this.urls.length > 1 ? (this.#known ?? (await this.#find())) : null;
    if (target !== null) {
      leadTo(client, target);
    }
    try {
      // The pool gives a client up when its time is over, and one that is not connected yet would not notice.
      remainingMs(deadlineMs);
      await connect();
      await askWritable(client, deadlineMs);
      return client;
    } catch (error) {
      if (this.#known === target) {
        this.#known = null;
      }
      // The pool forgets a client that did not connect, and does not end it.
      client.end().catch(() => undefined);
      throw error;
    }
  }

  /** Those who ask at the same time get the same answer. */
  async #find(): Promise<WritableHost> {
    this.#finding ??= this.#probeAll().finally(() => {
      this.#finding = null;
    });
    return this.#finding;
  }

  /** All at once: one that has vanished without a word must not keep the others waiting. */
  async #probeAll(): Promise<WritableHost> {
    const limitMs = Math.ceil(this.connectTimeoutMs * FINDING_SHARE);
    const probes = this.urls.map(async (url) => probe(url, limitMs));
    try {
      this.#known = await Promise.any(probes);
      return this.#known;
    } catch {
      throw await this.#whyNone(probes);
    }
  }

  /** Names what each host said. Only what no host takes, such as a password, is for the operator. */
  async #whyNone(probes: readonly Promise<unknown>[]): Promise<TaskStorageError> {
    const answers = await Promise.allSettled(probes);
    const failures = answers.map((answer) =>
      toTaskStorageError(answer.status === 'rejected' ? answer.reason : undefined),
    );
    const said = failures.map(({ message }, index) => {
      const { host } = new URL(this.urls[index] ?? '');
      return `${host}: ${message}`;
    });
    const isForOperator = failures.every(({ code }) => code === 'MISCONFIGURED');
    return new TaskStorageError(
      isForOperator ? 'MISCONFIGURED' : 'UNAVAILABLE',
      `No host of the connection string takes writes (${said.join('; ')})`,
      { cause: failures[0]?.cause },
    );
  }
}

/** @throws {TaskStorageError} `UNAVAILABLE` when the host does not answer in time, or takes no writes */
async function probe(url: string, limitMs: number): Promise<WritableHost> {
  const deadlineMs = performance.now() + limitMs;
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: limitMs,
    application_name: 'nestjs-task-storage',
  });
  hearClient(client);
  try {
    await client.connect();
    await askWritable(client, deadlineMs);
    return { host: client.host, port: client.port };
  } finally {
    client.end().catch(() => undefined);
  }
}

async function askWritable(client: pg.Client, deadlineMs: number): Promise<void> {
  const query_timeout = remainingMs(deadlineMs);
  assertWritable(await sendQuery(client, { text: ASK_READ_ONLY, types: OWN_TYPES, query_timeout }));
}

function remainingMs(deadlineMs: number): number {
  const remaining = Math.ceil(deadlineMs - performance.now());
  if (remaining <= 0) {
    throw new TaskStorageError('UNAVAILABLE', 'Postgres did not answer: timeout expired');
  }
  return remaining;
}

function leadTo(client: pg.Client, target: WritableHost): void {
  Object.assign(client, target);
  // By these the driver looks the password up (.pgpass).
  const parameters: unknown = Reflect.get(client, 'connectionParameters');
  if (typeof parameters === 'object' && parameters !== null) {
    Object.assign(parameters, target);
  }
}

function isWritable(answer: unknown): boolean {
  return (
    typeof answer === 'object' &&
    answer !== null &&
    'rows' in answer &&
    Array.isArray(answer.rows) &&
    answer.rows[0]?.is_read_only === 'off'
  );
}
