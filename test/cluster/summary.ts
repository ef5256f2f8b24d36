import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PhaseResult } from './phase.js';
import { measureCancelLatency } from './run-checks.js';

/** What is counted of a phase; of several phases it is added up, and the largest is kept. */
interface PhaseNumbers {
  readonly counts: Readonly<Record<string, number>>;
  readonly statuses: Readonly<Record<string, number>>;
  readonly largestCancelLatencyMs: number;
  readonly largestCalmCancelLatencyMs: number;
  readonly calmCancels: number;
}

function numbersOf({ evidence, records, restarts }: PhaseResult): PhaseNumbers {
  const { tasks, disturbances, cancels, runLog } = evidence;
  const latency = measureCancelLatency(evidence);
  const statuses: Record<string, number> = {};
  for (const { status, finalState } of tasks) {
    const name = status === 'error' ? `error/${finalState}` : status;
    statuses[name] = (statuses[name] ?? 0) + 1;
  }
  const starts = runLog.filter(({ kind }) => kind === 'start');
  return {
    counts: {
      tasks: tasks.length,
      kills: disturbances.filter(({ kind }) => kind === 'kill').length,
      restarts,
      stalls: disturbances.filter(({ kind }) => kind === 'stall').length,
      'cut-offs': disturbances.filter(({ kind }) => kind === 'cut-off').length,
      'cancels acknowledged': cancels.filter(({ answer }) => answer === 'cancelled').length,
      reconnects: records.reconnects,
      resubmits: records.resubmits,
      'turned away': records.turnedAway,
      'resumed runs': starts.filter(({ attempt }) => attempt > 1).length,
    },
    statuses,
    largestCancelLatencyMs: latency.largestMs,
    largestCalmCancelLatencyMs: latency.largestCalmMs,
    calmCancels: latency.calmCancels,
  };
}

function addedUp(
  records: readonly Readonly<Record<string, number>>[],
): Readonly<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (const [name, value] of records.flatMap((record) => Object.entries(record))) {
    sum[name] = (sum[name] ?? 0) + value;
  }
  return sum;
}

function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

/** The lines that a run of the test is told in. */
export function summarize(
  seed: number,
  phases: readonly PhaseResult[],
  violations: readonly string[],
): string[] {
  const numbers = phases.map((phase) => numbersOf(phase));
  const largest = Math.max(0, ...numbers.map((one) => one.largestCancelLatencyMs));
  const largestCalm = Math.max(0, ...numbers.map((one) => one.largestCalmCancelLatencyMs));
  const calmCancels = numbers.reduce((sum, one) => sum + one.calmCancels, 0);
  return [
    `Cluster test, seed ${seed}`,
    ...phases.map(
      ({ evidence, durationMs }, index) =>
        `${evidence.mode}: ${(durationMs / 1000).toFixed(1)} s, ${listed(numbers[index]?.counts ?? {})}`,
    ),
    `all: ${listed(addedUp(numbers.map(({ counts }) => counts)))}`,
    `statuses: ${listed(addedUp(numbers.map(({ statuses }) => statuses)))}`,
    `largest cancel latency: ${largestCalm.toFixed(0)} ms while no replica was disturbed (${calmCancels} cancels), ${largest.toFixed(0)} ms in all`,
    `violations ${violations.length}`,
    ...violations,
  ];
}

/** What a run of full size is to meet and this one did not: it has proved nothing about that. */
export function findUnmet(phases: readonly PhaseResult[]): string[] {
  return Object.entries(addedUp(phases.map((phase) => numbersOf(phase).counts)))
    .filter(([, count]) => count === 0)
    .map(([name]) => name);
}

/** Keeps everything that is known of the phases for whoever looks for the cause. @returns where */
export async function keepEvidence(phases: readonly PhaseResult[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cluster-evidence-'));
  for (const { evidence, serviceLog } of phases) {
    await writeFile(join(folder, `${evidence.mode}.json`), JSON.stringify(evidence, null, 1));
    await writeFile(join(folder, `${evidence.mode}.log`), serviceLog);
  }
  return folder;
}
