import type { CallOutcome, Evidence, FaultRecord } from './records.js';

const MEGABYTE = 1024 * 1024;

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function listed(values: readonly (number | null)[]): string {
  return values.map((value) => (value === null ? 'never' : seconds(value))).join(', ');
}

function byKind(faults: readonly FaultRecord[]): ReadonlyMap<string, readonly FaultRecord[]> {
  const kinds = new Map<string, FaultRecord[]>();
  for (const fault of faults) {
    kinds.set(fault.kind, [...(kinds.get(fault.kind) ?? []), fault]);
  }
  return kinds;
}

/** The lines that a run is told in. */
export function summarize(
  seed: number,
  { records, faults, stopTookMs, stalledMs }: Evidence,
  violations: readonly string[],
): string[] {
  const { calls, submissions } = records;
  const count = (outcome: CallOutcome, isWrite: boolean): number =>
    calls.filter((call) => call.outcome === outcome && call.isWrite === isWrite).length;
  const unknown = submissions.filter(({ outcomes }) => outcomes.includes('unknown'));
  const settled = unknown.filter(({ taskIds }) => taskIds.size === 1);
  const lost = violations.filter((violation) => violation.includes('acknowledged')).length;
  const longest = calls.reduce((one, other) => (other.durationMs > one.durationMs ? other : one), {
    operation: 'none',
    durationMs: 0,
  });
  const memory = faults.map(({ rssBytes }) => (rssBytes / MEGABYTE).toFixed(0));
  return [
    `Fault test, seed ${seed}`,
    `faults injected: ${faults.length}, of ${byKind(faults).size} kinds`,
    ...[...byKind(faults)].map(
      ([kind, some]) =>
        `  ${kind}: ${some.length}, restored in ${listed(some.map(({ recoveryMs }) => recoveryMs))}`,
    ),
    `writes: ${count('acknowledged', true)} acknowledged, ${lost} of them lost; ` +
      `${count('refused', true)} refused, ${count('unknown', true)} unknown`,
    `unknown outcomes of submissions: ${unknown.length}, settled by their key: ${settled.length}`,
    `reads: ${count('acknowledged', false)} answered, ${count('refused', false)} refused`,
    `longest answer: ${seconds(longest.durationMs)} (${longest.operation}); not answered: ${calls.filter(({ outcome }) => outcome === 'hung').length}`,
    `memory of the service after each fault, in MB: ${memory.join(' ')}`,
    `the machine stood still for ${seconds(stalledMs)}, which is not counted`,
    `stopped while the database said nothing, in ${seconds(stopTookMs)}`,
    `violations ${violations.length}`,
    ...violations.slice(0, 50),
  ];
}
