/*
 * Turns package.json into that of the service: what the library leaves to its users to install
 * (its optional peers) becomes a dependency, and what only its developers need goes. The versions
 * stay those of package-lock.json.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** Peers of parts that the service does not run: the conformance kit and apps' own data sources. */
const NOT_FOR_THE_SERVICE = new Set(['fast-check', '@nestjs/typeorm']);

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const peers = Object.keys(manifest.peerDependencies).filter(
  (name) => !NOT_FOR_THE_SERVICE.has(name),
);
for (const name of peers) {
  manifest.dependencies[name] = manifest.devDependencies[name];
}
delete manifest.peerDependencies;
delete manifest.peerDependenciesMeta;
delete manifest.devDependencies;
delete manifest.scripts;
writeFileSync('package.json', `${JSON.stringify(manifest, null, 2)}\n`);
