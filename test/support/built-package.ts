import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

/** The folder of this repository. */
export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  exports: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
  dependencies: z.record(z.string(), z.string()).default({}),
  peerDependencies: z.record(z.string(), z.string()).default({}),
  peerDependenciesMeta: z.record(z.string(), z.object({ optional: z.boolean() })).default({}),
});

/** What a `package.json` says. */
export type Manifest = z.output<typeof manifestSchema>;

export async function readManifest(): Promise<Manifest> {
  return manifestSchema.parse(JSON.parse(await readFile(join(REPOSITORY, 'package.json'), 'utf8')));
}

/** The peers that every user of the package must install. */
export function requiredPeers(manifest: Manifest): string[] {
  return Object.keys(manifest.peerDependencies).filter(
    (name) => manifest.peerDependenciesMeta[name]?.optional !== true,
  );
}

/** The version of a package that this repository has installed. */
export async function installedVersion(packageName: string): Promise<string> {
  const path = join(REPOSITORY, 'node_modules', packageName, 'package.json');
  return z.object({ version: z.string() }).parse(JSON.parse(await readFile(path, 'utf8'))).version;
}

/** What a program wrote, and how it ended. */
export interface ProgramResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whichever it is. */
export async function runProgram(
  file: string,
  parameters: readonly string[],
  folder: string,
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const options = { cwd: folder, maxBuffer: 64 * 1024 * 1024 };
    execFile(file, parameters, options, (error, stdout, stderr) => {
      const code = error?.code;
      const failed = typeof code === 'number' ? code : 1;
      resolve({ exitCode: error === null ? 0 : failed, stdout, stderr });
    });
  });
}

/** Builds the package unless it is built. */
export async function ensureBuilt(): Promise<void> {
  const isBuilt = await access(join(REPOSITORY, 'dist', 'index.js')).then(
    () => true,
    () => false,
  );
  if (!isBuilt) {
    await promisify(execFile)('npm', ['run', 'build'], { cwd: REPOSITORY });
  }
}
