import pg from 'pg';
import { TaskStorageError } from '../../task/errors.js';
import { hearClient } from './pooled-client.js';
import { toTaskStorageError } from './postgres-errors.js';

/** A server that takes writes. */
export interface WritableHost {
  readonly host: string;
  readonly port: number;
}

/** What a client is used for here. */
type Answer = { readonly rows: readonly { readonly is_read_only?: unknown }[] };

/** Asks whether a server is a standby, or was told to refuse writes. */
export const ASK_READ_ONLY = `SELECT current_setting('transaction_read_only') AS is_read_only`;

const READ_ONLY = 'Postgres takes no writes: it is read-only; is it a standby?';

type ConnectCallback = ((error: Error) => void) | ((error: null, client: pg.Client) => void);

/** Finding a host takes two rounds at the most, and connecting to it is the third. */
const ROUNDS = 3;

/** @throws {TaskStorageError} `UNAVAILABLE` when the answer is that of a server that takes no writes */
export function assertWritable({ rows }: Answer): void {
  if (rows[0]?.is_read_only !== 'off') {
    throw new TaskStorageError('UNAVAILABLE', READ_ONLY);
  }
}

/** What is asked of a server, and for how long an answer is waited for. */
export function askReadOnly(limitMs: number): { text: string; query_timeout: number } {
  return { text: ASK_READ_ONLY, query_timeout: limitMs };
}

/** Several servers, of which one takes writes: another one after a failover. */
export class HostList {
  /** The one that was found last. */
  #known: string | null = null;
  #finding: Promise<WritableHost> | null = null;
  readonly #limitMs: number;

  /**
   * @param urls one for each host
   * @param connectTimeoutMs what a connection may take, finding its host included
   */
  constructor(
    private readonly urls: readonly string[],
    private readonly connectTimeoutMs: number,
  ) {
    this.#limitMs = Math.ceil(connectTimeoutMs / ROUNDS);
  }

  /**
   * A class of clients that find their host when they connect. The pool gives each of them the whole
   * time-out, which starts when it is made.
   */
  clientClass(): typeof pg.Client {
    const lead = async (client: pg.Client): Promise<void> => this.#lead(client);
    return class extends pg.Client {
      override connect(): Promise<pg.Client>;
      override connect(tell: ConnectCallback): void;
      override connect(tell?: ConnectCallback): Promise<pg.Client> | void {
        const connected = lead(this).then(async () => super.connect());
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

  async #lead(client: pg.Client): Promise<void> {
    const startedMs = performance.now();
    const { host, port } = await this.#find();
    if (performance.now() - startedMs >= this.connectTimeoutMs) {
      // The pool has given the client up meanwhile.
      throw new TaskStorageError('UNAVAILABLE', 'Postgres did not answer: timeout expired');
    }
    client.host = host;
    client.port = port;
    hearClient(client);
  }

  /** Those who ask at the same time get the same answer. */
  async #find(): Promise<WritableHost> {
    this.#finding ??= this.#ask().finally(() => {
      this.#finding = null;
    });
    return this.#finding;
  }

  async #ask(): Promise<WritableHost> {
    if (this.#known !== null) {
      const found = await this.#probe(this.#known).catch(() => null);
      if (found !== null) {
        return found;
      }
      this.#known = null;
    }
    // All at once: one that has vanished without a word must not keep the others waiting.
    const probes = this.urls.map(async (url) => this.#probe(url));
    try {
      return await Promise.any(probes);
    } catch {
      throw await this.#whyNone(probes);
    }
  }

  async #probe(url: string): Promise<WritableHost> {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: this.#limitMs,
      application_name: 'nestjs-task-storage',
    });
    hearClient(client);
    try {
      await client.connect();
      assertWritable(await client.query(askReadOnly(this.#limitMs)));
      this.#known = url;
      return { host: client.host, port: client.port };
    } finally {
      client.end().catch(() => undefined);
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
