import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ensureBuilt, REPOSITORY } from '../support/built-package.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

/** `ReadyForQuery`, which ends the greeting of a new session. */
const READY = Buffer.from('Z\0\0\0\u0005I');
const ENDED = Buffer.from(
  'E\0\0\0\0SFATAL\0VFATAL\0C57P01\0Mterminating connection by administrator\0\0',
);
ENDED.writeUInt32BE(ENDED.length - 1, 1);

/** Opens the storage, waits for a word, asks several times at once, and says what it got. */
const PROGRAM = `
  const { createPostgresTaskStorage } = await import(process.env.STORAGE);
  const storage = await createPostgresTaskStorage({ connectionString: process.env.DATABASE });
  process.stdout.write('open\\n');
  await new Promise((resolve) => process.stdin.once('data', resolve));
  const pings = await Promise.allSettled(Array.from({ length: 6 }, () => storage.ping()));
  const codes = pings.map(({ status, reason }) => (status === 'fulfilled' ? 'OK' : reason.code));
  process.stdout.write([...new Set(codes)].sort().join(' '));
  process.exit(0);
`;

describe('A Postgres session that is ended in the packet that greets it', () => {
  let database: TestDatabase;
  let proxy: Server;
  let isArmed = false;

  beforeEach(async () => {
    await ensureBuilt();
    database = await createTestDatabase();
    const port = Number(new URL(database.connectionString).port);
    proxy = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      near.pipe(far);
      far.on('data', (bytes: Buffer) => {
        const isGreeting = isArmed && bytes.includes(READY);
        near.write(isGreeting ? Buffer.concat([bytes, ENDED]) : bytes);
      });
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        socket.on('error', () => other.destroy());
        socket.on('close', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    proxy.close();
    await database.drop();
  });

  // The pool has taken its listener off the new client by then, and nobody has put one on yet.
  it('does not end the process', async () => {
    const url = new URL(database.connectionString);
    const address = proxy.address();
    url.port = String(typeof address === 'object' ? address?.port : '');
    const storage = pathToFileURL(join(REPOSITORY, 'dist', 'storage', 'typeorm', 'index.js')).href;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM], {
      env: { ...process.env, DATABASE: url.href, STORAGE: storage },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    }
    await once(child.stdout, 'data');
    isArmed = true;
    child.stdin.write('go\n');
    const [exitCode]: unknown[] = await once(child, 'close');
    expect({ exitCode, output }).toEqual({ exitCode: 0, output: expect.stringMatching(/^open\n/) });
    expect(output).toContain('UNAVAILABLE');
  });
});
