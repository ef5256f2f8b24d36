import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, expect, it } from '@jest/globals';
import { ensureBuilt } from '../support/built-package.js';

const MODULE = new URL('../../dist/shutdown-limit.js', import.meta.url).href;

beforeAll(ensureBuilt);

it('a process that does not end when it is told to is ended, and says so', async () => {
  // The grace shortens the limit of the orderly end, which nobody could wait for here.
  const script = `
    import { limitShutdown } from '${MODULE}';
    process.on('SIGTERM', () => undefined);
    setInterval(() => undefined, 1000);
    limitShutdown(['SIGTERM'], -19990, console);
    console.log('ready');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  const [code]: unknown[] = await once(child, 'close');
  expect({ code, errors }).toEqual({
    code: 1,
    errors: 'The service did not end within 10 ms after SIGTERM; it is ended\n',
  });
});
