import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Random } from '../cluster/random.js';
import { REPOSITORY } from '../support/built-package.js';
import { checkEvidence } from './checker.js';
import { FAULTS, type Fault } from './faults.js';
import type { Limits } from './records.js';
import { runFaults } from './run.js';
import { summarize } from './summary.js';

/*
 * FAULTS        `short`: each fault once, in random order; otherwise each alone, then two random rounds;
 *               or the names of some faults, separated by commas
 * FAULTS_SEED   decides what the clients do and the order of the faults
 * FAULTS_DIST   the build to test, so that a broken one can be put to the same test
 */
const SEED = Number(process.env['FAULTS_SEED'] ?? 20261124);
const CHOICE = process.env['FAULTS'] ?? '';
const DIST = resolve(REPOSITORY, process.env['FAULTS_DIST'] ?? 'dist');
const RANDOM_ROUNDS = 2;

const LIMITS: Limits = {
  recoveryMs: 5_000,
  stopMs: 21_000,
  noticeMs: 5_000,
  memoryGrowthBytes: 15 * 1024 * 1024,
};

function shuffled(random: Random): Fault[] {
  const left = [...FAULTS];
  return FAULTS.map(() => {
    const picked = random.pick(left);
    left.splice(left.indexOf(picked), 1);
    return picked;
  });
}

function faultNamed(name: string): Fault {
  const found = FAULTS.find(({ kind }) => kind === name);
  if (found === undefined) {
    const known = FAULTS.map(({ kind }) => kind).join(', ');
    throw new Error(`FAULTS names "${name}", which is none; write short, or some of: ${known}`);
  }
  return found;
}

function chosen(random: Random): readonly Fault[] {
  if (CHOICE === 'short') {
    return shuffled(random);
  }
  if (CHOICE !== '') {
    return CHOICE.split(',').map((name) => faultNamed(name.trim()));
  }
  return [...FAULTS, ...Array.from({ length: RANDOM_ROUNDS }, () => shuffled(random)).flat()];
}

const { evidence, serviceLog } = await runFaults({
  dist: DIST,
  seed: SEED,
  faults: chosen(new Random(SEED).derive('order')),
  onProgress: (text) => console.log(text),
});
const violations = checkEvidence(evidence, LIMITS);
console.log(`\n${summarize(SEED, evidence, violations).join('\n')}`);
if (violations.length > 0) {
  const folder = await mkdtemp(join(tmpdir(), 'fault-evidence-'));
  await writeFile(join(folder, 'service.log'), serviceLog);
  await writeFile(join(folder, 'calls.json'), JSON.stringify(evidence.records.calls, null, 1));
  console.log(`The evidence is in ${folder}`);
}
process.exit(violations.length > 0 ? 1 : 0);
