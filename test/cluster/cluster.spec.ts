import { join, resolve } from 'node:path';
import { expect, it } from '@jest/globals';
import { ensureBuilt, REPOSITORY } from '../support/built-package.js';
import { checkEvidence } from './checker.js';
import type { ClusterMode } from './evidence.js';
import { runPhase, type PhaseResult } from './phase.js';
import { findUnmet, keepEvidence, summarize } from './summary.js';

/*
 * CLUSTER_SEED   what is submitted, cancelled, cut and killed, and after which pauses; when exactly
 *                a kill meets a task is up to the machine
 * CLUSTER_TASKS  how many tasks in all
 * CLUSTER_MODES  which phases: `queue`, `reject`, or both with a comma
 * CLUSTER_DIST   the build to test, so that a broken one can be put to the same test
 */
const SEED = Number(process.env['CLUSTER_SEED'] ?? 20260801);
const FULL_SIZE = 300;
const TASKS = Number(process.env['CLUSTER_TASKS'] ?? FULL_SIZE);
const MODES = (process.env['CLUSTER_MODES'] ?? 'queue,reject').split(',') as ClusterMode[];
const DIST = process.env['CLUSTER_DIST'];

/** Each phase has limits of its own that say what it waited for; this is for what they forgot. */
const TEST_LIMIT_MS = 600_000;

it(
  'holds its promises while replicas of it are killed, stalled and started again',
  async () => {
    if (DIST === undefined) {
      await ensureBuilt();
    }
    const main = join(resolve(REPOSITORY, DIST ?? 'dist'), 'main.js');
    const phases: PhaseResult[] = [];
    for (const mode of MODES) {
      const tasks = Math.ceil(TASKS / MODES.length);
      phases.push(await runPhase({ mode, seed: SEED, tasks, main }));
    }
    const violations = phases.flatMap(({ evidence }) =>
      checkEvidence(evidence).map((violation) => `${evidence.mode}: ${violation}`),
    );
    const lines = summarize(SEED, phases, violations);
    if (violations.length > 0) {
      lines.push(`The evidence is in ${await keepEvidence(phases)}`);
    }
    console.log(lines.join('\n'));
    expect(violations).toEqual([]);
    if (TASKS >= FULL_SIZE && MODES.length > 1) {
      expect(findUnmet(phases)).toEqual([]);
    }
  },
  TEST_LIMIT_MS,
);
