import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  ensureBuilt,
  readManifest,
  REPOSITORY,
  requiredPeers,
  type Manifest,
} from '../support/built-package.js';
import { filesUnder, importsOf, packageOf, packagesReachedFrom } from '../support/import-graph.js';

/** An option of the postgres backend takes the data source of its versions. */
const NEED_NO_IMPORT = ['@nestjs/typeorm'];

/** The optional peers that an entry point needs; the README names the same ones. */
const OPTIONAL_PEERS_BY_ENTRY: Readonly<Record<string, readonly string[]>> = {
  '.': [],
  './typeorm': ['pg', 'typeorm'],
  './agent': ['@grpc/grpc-js', '@grpc/proto-loader', '@grpc/reflection', '@nestjs/microservices'],
  './retention': ['@nestjs/schedule', 'cron'],
  './health': ['grpc-health-check'],
  './testing': ['fast-check'],
};

describe('the declared dependencies', () => {
  let manifest: Manifest;
  let imported: Set<string>;

  beforeAll(async () => {
    manifest = await readManifest();
    imported = new Set();
    for (const file of await filesUnder(join(REPOSITORY, 'src'), '.ts')) {
      for (const { specifier } of await importsOf(file)) {
        const packageName = packageOf(specifier);
        if (packageName !== null) {
          imported.add(packageName);
        }
      }
    }
  });

  it('are every package that the source imports', () => {
    const declared = new Set([
      ...Object.keys(manifest.dependencies),
      ...Object.keys(manifest.peerDependencies),
    ]);
    expect([...imported].filter((name) => !declared.has(name))).toEqual([]);
  });

  it('are no package that the source does not import', () => {
    const declared = [
      ...Object.keys(manifest.dependencies),
      ...Object.keys(manifest.peerDependencies),
    ];
    // Nest itself needs them.
    const known = new Set([...imported, ...requiredPeers(manifest), ...NEED_NO_IMPORT]);
    expect(declared.filter((name) => !known.has(name))).toEqual([]);
  });

  it('are required of every user only where Nest requires them as well', () => {
    expect(requiredPeers(manifest).sort()).toEqual([
      '@nestjs/common',
      '@nestjs/core',
      'reflect-metadata',
      'rxjs',
    ]);
  });

  it('mark no peer as optional that is not one', () => {
    const marked = Object.keys(manifest.peerDependenciesMeta);
    expect(marked.filter((name) => !(name in manifest.peerDependencies))).toEqual([]);
  });
});

describe('an entry point', () => {
  let manifest: Manifest;

  beforeAll(async () => {
    await ensureBuilt();
    manifest = await readManifest();
  });

  /** The file that an entry point leads to under a condition of the exports map. */
  function targetOf(entry: string, condition: 'types' | 'default'): string {
    const target = manifest.exports[entry];
    const path = typeof target === 'string' ? target : target?.[condition];
    return join(REPOSITORY, String(path));
  }

  function optionalOf(packages: ReadonlySet<string>): string[] {
    const always = new Set([...Object.keys(manifest.dependencies), ...requiredPeers(manifest)]);
    return [...packages].filter((name) => !always.has(name)).sort();
  }

  it('is one of those that are known here', () => {
    const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json');
    expect(entries.sort()).toEqual(Object.keys(OPTIONAL_PEERS_BY_ENTRY).sort());
  });

  it.each(Object.entries(OPTIONAL_PEERS_BY_ENTRY))(
    '%s loads at once no optional peer but %j',
    async (entry, peers) => {
      const reached = await packagesReachedFrom(targetOf(entry, 'default'));
      expect(optionalOf(reached).filter((name) => !peers.includes(name))).toEqual([]);
    },
  );

  it('. has types that need no optional peer', async () => {
    const reached = await packagesReachedFrom(targetOf('.', 'types'), (path) =>
      path.replace(/\.js$/, '.d.ts'),
    );
    expect(optionalOf(reached)).toEqual([]);
  });
});
