import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import typescript from 'typescript';
import { z } from 'zod';
import {
  ensureBuilt,
  installedVersion,
  readManifest,
  REPOSITORY,
  requiredPeers,
  runProgram,
  type Manifest,
} from '../support/built-package.js';

/** A cold cache of npm on a busy machine. */
jest.setTimeout(300_000);

const packedSchema = z.array(
  z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) }),
);

describe('the packed package', () => {
  let folder: string;
  let manifest: Manifest;
  let tarball: string;
  let files: string[];

  beforeAll(async () => {
    await ensureBuilt();
    folder = await mkdtemp(join(tmpdir(), 'task-storage-package-'));
    manifest = await readManifest();
    const packed = await runProgram(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--silent', '--pack-destination', folder],
      REPOSITORY,
    );
    expect(packed.exitCode).toBe(0);
    const [result] = packedSchema.parse(JSON.parse(packed.stdout));
    tarball = join(folder, String(result?.filename));
    files = result?.files.map((file) => file.path) ?? [];
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** Makes an application that has installed the package with these peers of it. */
  async function install(name: string, peers: readonly string[]): Promise<string> {
    const app = join(folder, name);
    await mkdir(app);
    await writeFile(join(app, 'package.json'), JSON.stringify({ type: 'module', private: true }));
    const pinned = await Promise.all(
      peers.map(async (peer) => `${peer}@${await installedVersion(peer)}`),
    );
    const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts'];
    const installed = await runProgram('npm', ['install', ...flags, tarball, ...pinned], app);
    expect(installed).toMatchObject({ exitCode: 0 });
    return app;
  }

  /** Runs a module in the application; it prints what the test looks at as JSON. */
  async function runIn(app: string, program: string): Promise<unknown> {
    await writeFile(join(app, 'program.mjs'), program);
    const result = await runProgram(process.execPath, ['program.mjs'], app);
    expect(result).toMatchObject({ exitCode: 0 });
    return JSON.parse(result.stdout);
  }

  it('holds the built code, its types, the protocol and the documents, and nothing else', () => {
    const expected =
      /^(dist\/.+\.(js|js\.map|d\.ts|proto)|docs\/.+\.(md|json|svg)|package\.json|\.env\.example|README\.md|CHANGELOG\.md|LICENSE)$/;
    expect(files.filter((file) => !expected.test(file))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'CHANGELOG.md']));
    expect(files.some((file) => file.endsWith('.proto'))).toBe(true);
  });

  it('holds every file that an entry point leads to', () => {
    const targets = Object.values(manifest.exports)
      .flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target)))
      .map((target) => target.replace(/^\.\//, ''));
    expect(targets.filter((target) => !files.includes(target))).toEqual([]);
  });

  it('passes publint', async () => {
    const publint = join(REPOSITORY, 'node_modules', '.bin', 'publint');
    expect(await runProgram(publint, ['--strict', tarball], folder)).toMatchObject({ exitCode: 0 });
  });

  it('passes attw', async () => {
    const attw = join(REPOSITORY, 'node_modules', '.bin', 'attw');
    const result = await runProgram(attw, ['--profile', 'esm-only', tarball], folder);
    expect(result).toMatchObject({ exitCode: 0 });
  });

  describe('with only its required peers', () => {
    let app: string;

    beforeAll(async () => {
      app = await install('minimal', requiredPeers(manifest));
    });

    it('stores tasks in memory', async () => {
      const result = await runIn(
        app,
        `
        import 'reflect-metadata';
        import { NestFactory } from '@nestjs/core';
        import { TASK_STORAGE, TaskStorageModule } from 'nestjs-task-storage';
        const module = TaskStorageModule.forRoot({ backend: 'memory' });
        const app = await NestFactory.createApplicationContext(module, { logger: false });
        const storage = app.get(TASK_STORAGE);
        const created = await storage.createTask({ taskId: 'a', query: 'test', maxSteps: 1 });
        const { status } = await storage.getTask('a');
        await app.close();
        const missing = [];
        for (const name of ['typeorm', 'pg', '@grpc/grpc-js', '@nestjs/config']) {
          await import(name).catch(() => missing.push(name));
        }
        console.log(JSON.stringify({ created, status, missing }));
        `,
      );
      expect(result).toEqual({
        created: true,
        status: 'pending',
        missing: ['typeorm', 'pg', '@grpc/grpc-js', '@nestjs/config'],
      });
    });

    it('runs the example of the README as it is', async () => {
      const readme = await readFile(join(REPOSITORY, 'README.md'), 'utf8');
      const [, example = ''] = /```ts\n(.*?)```/s.exec(readme) ?? [];
      const { outputText } = typescript.transpileModule(example, {
        compilerOptions: {
          module: typescript.ModuleKind.ESNext,
          target: typescript.ScriptTarget.ES2023,
          experimentalDecorators: true,
        },
      });
      await writeFile(join(app, 'readme.mjs'), outputText);
      const result = await runProgram(process.execPath, ['readme.mjs'], app);
      expect(result).toMatchObject({ exitCode: 0 });
      expect(result.stdout).toMatch(/status: 'finished'[^]*result: '4'/);
    });

    it.each([
      [
        'the postgres backend',
        "TaskStorageModule.forRoot({ backend: 'postgres', connectionString: 'postgresql://localhost/a' })",
        'npm install pg',
      ],
      ['the environment', 'TaskStorageModule.forRootAsync()', 'npm install @nestjs/config'],
    ])('says what to install for %s', async (_what, module, instruction) => {
      const result = await runIn(
        app,
        `
        import 'reflect-metadata';
        import { NestFactory } from '@nestjs/core';
        import { TaskStorageModule } from 'nestjs-task-storage';
        const options = { logger: false, abortOnError: false };
        const failure = await Promise.resolve()
          .then(() => NestFactory.createApplicationContext(${module}, options))
          .then(() => null, (error) => error);
        console.log(JSON.stringify({ name: failure?.name, message: failure?.message }));
        `,
      );
      expect(result).toEqual({
        name: 'ConfigurationError',
        message: expect.stringContaining(instruction),
      });
    });

    it('has types that compile without its optional peers', async () => {
      await writeFile(
        join(app, 'app.ts'),
        `
        import { TaskStorageModule, type TaskStorage, type Task } from 'nestjs-task-storage';
        export const module = TaskStorageModule.forRoot({ backend: 'memory', isGlobal: true });
        export async function read(storage: TaskStorage): Promise<Task | null> {
          return storage.getTask('a');
        }
        `,
      );
      const tsc = join(REPOSITORY, 'node_modules', '.bin', 'tsc');
      const typeRoots = join(REPOSITORY, 'node_modules', '@types');
      const flags = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023'];
      const types = ['--typeRoots', typeRoots, '--types', 'node', '--ignoreConfig'];
      const result = await runProgram(tsc, [...flags, ...types, 'app.ts'], app);
      expect(result).toMatchObject({ exitCode: 0 });
    });
  });

  describe('with all its peers', () => {
    let app: string;

    beforeAll(async () => {
      app = await install('complete', Object.keys(manifest.peerDependencies));
    });

    it('has entry points that can all be imported, together in one process', async () => {
      const entries = Object.keys(manifest.exports)
        .filter((entry) => entry !== './package.json')
        .map((entry) => manifest.name + entry.slice(1));
      const result = await runIn(
        app,
        `
        const names = [];
        for (const entry of ${JSON.stringify(entries)}) {
          names.push([entry, Object.keys(await import(entry)).length > 0]);
        }
        console.log(JSON.stringify(names));
        `,
      );
      expect(result).toEqual(entries.map((entry) => [entry, true]));
    });
  });
});
