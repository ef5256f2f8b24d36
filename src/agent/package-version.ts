import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** @returns the version of this package; its package.json lies two folders up, built or not */
export function readPackageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
