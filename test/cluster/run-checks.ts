import { byTask, TERMINAL_STATUSES, type Evidence, type RunLogLine } from './evidence.js';

/** The clock of a program and that of the database are read by different means. */
const CLOCK_TOLERANCE_MS = 10;

/** One process that ran a task. */
interface ProgramRun {
  readonly attempt: number;
  readonly pid: number;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly hasEnded: boolean;
}

/** @returns the runs of one task, the one that began first first */
function runsOf(lines: readonly RunLogLine[]): ProgramRun[] {
  const runs = new Map<string, ProgramRun>();
  for (const { attempt, pid, kind, atMs } of lines) {
    const key = `${attempt}/${pid}`;
    const run = runs.get(key);
    runs.set(key, {
      attempt,
      pid,
      fromMs: Math.min(run?.fromMs ?? Infinity, atMs),
      untilMs: Math.max(run?.untilMs ?? -Infinity, atMs),
      hasEnded: run?.hasEnded === true || kind === 'end',
    });
  }
  return [...runs.values()].sort((one, other) => one.fromMs - other.fromMs);
}

/** No two programs worked on one task at once, and no attempt was run twice. */
export function checkRuns(evidence: Evidence): string[] {
  const linesByTask = byTask(evidence.runLog);
  const known = new Set(evidence.tasks.map(({ taskId }) => taskId));
  return [
    ...[...linesByTask.keys()]
      .filter((taskId) => !known.has(taskId))
      .map((taskId) => `Task ${taskId} was run and does not exist`),
    ...[...linesByTask].flatMap(([taskId, lines]) => checkRunsOfTask(taskId, runsOf(lines))),
    ...checkFinishedRuns(evidence, linesByTask),
  ];
}

function checkRunsOfTask(taskId: string, runs: readonly ProgramRun[]): string[] {
  const violations: string[] = [];
  const pidByAttempt = new Map<number, number>();
  let latest: ProgramRun | undefined;
  for (const run of runs) {
    const earlierPid = pidByAttempt.get(run.attempt);
    if (earlierPid !== undefined) {
      violations.push(
        `Attempt ${run.attempt} of task ${taskId} was run twice, by ${earlierPid} and ${run.pid}`,
      );
    }
    pidByAttempt.set(run.attempt, run.pid);
    if (latest !== undefined && run.fromMs < latest.untilMs) {
      const overlapMs = Math.min(latest.untilMs, run.untilMs) - run.fromMs;
      violations.push(
        `Attempts ${latest.attempt} and ${run.attempt} of task ${taskId} worked at the same time for ${overlapMs.toFixed(1)} ms`,
      );
    }
    if (latest === undefined || run.untilMs > latest.untilMs) {
      latest = run;
    }
  }
  return violations;
}

/** A task that finished was run to its end, and nobody worked on it afterwards. */
function checkFinishedRuns(
  { tasks, audit }: Evidence,
  linesByTask: ReadonlyMap<string, readonly RunLogLine[]>,
): string[] {
  const endMsByTask = new Map(
    audit
      .filter(({ after }) => after !== null && TERMINAL_STATUSES.includes(after.status))
      .map(({ taskId, atMs }) => [taskId, atMs]),
  );
  return tasks
    .filter(({ status }) => status === 'finished')
    .flatMap(({ taskId, attempt }) => {
      const runs = runsOf(linesByTask.get(taskId) ?? []);
      const last = runs.find((run) => run.attempt === Math.max(attempt, 1));
      const endMs = endMsByTask.get(taskId) ?? Infinity;
      const late = runs.find((run) => run.untilMs > endMs + CLOCK_TOLERANCE_MS);
      return [
        ...(last?.hasEnded === true
          ? []
          : [`Task ${taskId} finished in attempt ${attempt}, which no program ran to its end`]),
        ...(late === undefined
          ? []
          : [
              `Attempt ${late.attempt} of task ${taskId} worked ${(late.untilMs - endMs).toFixed(1)} ms after the task had finished`,
            ]),
      ];
    });
}

/** The largest time from the acknowledgement of a cancel to the last sign of life of its task. */
export interface CancelLatency {
  readonly largestMs: number;
  /** The same of cancels that met no replica being killed, stalled or started. */
  readonly largestCalmMs: number;
  readonly calmCancels: number;
}

export function measureCancelLatency(evidence: Evidence): CancelLatency {
  const linesByTask = byTask(evidence.runLog);
  let largestMs = 0;
  let largestCalmMs = 0;
  let calmCancels = 0;
  for (const { taskId, askedAtMs, answeredAtMs, answer } of evidence.cancels) {
    if (answer !== 'cancelled') {
      continue;
    }
    const lastBeatMs = Math.max(0, ...(linesByTask.get(taskId) ?? []).map(({ atMs }) => atMs));
    const latencyMs = Math.max(0, lastBeatMs - answeredAtMs);
    largestMs = Math.max(largestMs, latencyMs);
    const overMs = answeredAtMs + latencyMs;
    const isCalm = evidence.disturbances.every(
      ({ fromMs, untilMs }) => fromMs > overMs || untilMs < askedAtMs,
    );
    if (isCalm) {
      calmCancels += 1;
      largestCalmMs = Math.max(largestCalmMs, latencyMs);
    }
  }
  return { largestMs, largestCalmMs, calmCancels };
}
