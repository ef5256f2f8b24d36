import { setMaxListeners } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import {
  countActive,
  countRunning,
  installAudit,
  readAudit,
  readEvents,
  readTasks,
  wasTakenOver,
} from './audit.js';
import { Cluster } from './cluster.js';
import { disturb } from './disturber.js';
import type { ClusterMode, Evidence, RunLogLine } from './evidence.js';
import { Random } from './random.js';
import { planTasks } from './workload-plan.js';
import { Workload, type WorkloadRecords } from './workload.js';

const AGENT = fileURLToPath(new URL('./agent-program.mjs', import.meta.url));
const REPLICAS = ['replica-1', 'replica-2', 'replica-3'];
const MAX_TASKS = 6;
const CLIENTS = 14;
const LEASE_MS = 3_000;
/** Much longer than a phase takes: who waits for this has found a task that never ends. */
const WORK_LIMIT_MS = 150_000;
const DRAIN_LIMIT_MS = 20_000;
const POLL_MS = 100;
/** A program that works beats much more often. */
const QUIET_MS = 500;

/** How the phases differ. */
interface ModeSettings {
  readonly longestWorkMs: number;
  readonly variables: Readonly<Record<string, string>>;
}

const MODES: Readonly<Record<ClusterMode, ModeSettings>> = {
  queue: {
    // The program of a stalled replica works on: it must have ended when the lease does.
    longestWorkMs: 1_200,
    variables: { TASK_WHEN_FULL: 'queue', AGENT_RESUMABLE: '1', TASK_MAX_TASKS_PER_REPLICA: '4' },
  },
  reject: {
    longestWorkMs: 6_000,
    variables: { TASK_WHEN_FULL: 'reject' },
  },
};

/** Which part of the test to run. */
export interface PhaseOptions {
  readonly mode: ClusterMode;
  readonly seed: number;
  readonly tasks: number;
  /** The `main.js` to run. */
  readonly main: string;
}

/** What a phase left behind. */
export interface PhaseResult {
  readonly evidence: Evidence;
  readonly records: WorkloadRecords;
  readonly restarts: number;
  readonly durationMs: number;
  readonly serviceLog: string;
}

/** Runs replicas on a database of their own, drives and disturbs them, and collects the evidence. */
export async function runPhase(options: PhaseOptions): Promise<PhaseResult> {
  const database = await createTestDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'cluster-test-'));
  const runLog = join(folder, 'runs.jsonl');
  await writeFile(runLog, '');
  const cluster = new Cluster({
    main: options.main,
    names: REPLICAS,
    connectionString: database.connectionString,
    variables: {
      TASK_STORAGE_BACKEND: 'postgres',
      TASK_MAX_TASKS: String(MAX_TASKS),
      TASK_LEASE_MS: String(LEASE_MS),
      AGENT_COMMAND: `"${process.execPath}" "${AGENT}"`,
      AGENT_ENV_ALLOW: 'CLUSTER_RUN_LOG',
      AGENT_KILL_GRACE_MS: '300',
      CLUSTER_RUN_LOG: runLog,
      LOG_LEVEL: 'INFO',
      ...MODES[options.mode].variables,
    },
  });
  try {
    await cluster.start(async () => installAudit(database));
    return await drive(options, cluster, database, runLog);
  } catch (error) {
    throw new Error(`The ${options.mode} phase broke off: ${String(error)}\n${cluster.log}`, {
      cause: error,
    });
  } finally {
    await cluster.stop();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function drive(
  options: PhaseOptions,
  cluster: Cluster,
  database: TestDatabase,
  runLog: string,
): Promise<PhaseResult> {
  const { mode, seed, tasks } = options;
  const { longestWorkMs } = MODES[mode];
  const startedAtMs = Date.now();
  const random = new Random(seed).derive(mode);
  const tooLong = AbortSignal.timeout(WORK_LIMIT_MS);
  const brokenOff = new AbortController();
  const stopClients = AbortSignal.any([tooLong, brokenOff.signal]);
  // Every client listens.
  setMaxListeners(0, stopClients);
  const workload = new Workload(cluster, random.derive('workload'), stopClients);
  const plan = planTasks(random.derive('plan'), { tasks, longestWorkMs });
  const workIsOver = new AbortController();
  await Promise.all([
    workload.run(plan, CLIENTS).finally(() => workIsOver.abort()),
    disturb(
      {
        cluster,
        leaseMs: LEASE_MS,
        countRunning: async (name) => countRunning(database, name),
        wasTakenOver: async (name, sinceMs) => wasTakenOver(database, name, sinceMs),
        over: workIsOver.signal,
      },
      random.derive('disturber'),
    ).catch((error: unknown) => {
      brokenOff.abort();
      throw error;
    }),
  ]);
  const { records } = workload;
  const failures = [...cluster.failures, ...records.failures];
  if (tooLong.aborted) {
    failures.unshift(`The clients were not done after ${WORK_LIMIT_MS} ms`);
  }
  if (!(await settles(database, runLog))) {
    failures.push(`The cluster did not come to rest within ${DRAIN_LIMIT_MS} ms`);
  }
  const evidence: Evidence = {
    mode,
    maxTasks: MAX_TASKS,
    tasks: await readTasks(database),
    events: await readEvents(database),
    audit: await readAudit(database),
    runLog: await readRunLog(runLog),
    submissions: records.submissions,
    follows: records.follows,
    cancels: records.cancels,
    disturbances: cluster.disturbances,
    failures,
  };
  const durationMs = Date.now() - startedAtMs;
  return { evidence, records, durationMs, restarts: cluster.restarts, serviceLog: cluster.log };
}

/** Waits until no task is active and no program works. @returns `false` when that takes too long */
async function settles(database: TestDatabase, runLog: string): Promise<boolean> {
  const deadlineMs = Date.now() + DRAIN_LIMIT_MS;
  while (Date.now() < deadlineMs) {
    const lastSignMs = (await readRunLog(runLog)).at(-1)?.atMs ?? 0;
    if ((await countActive(database)) === 0 && Date.now() - lastSignMs > QUIET_MS) {
      return true;
    }
    await delay(POLL_MS);
  }
  return false;
}

async function readRunLog(path: string): Promise<RunLogLine[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RunLogLine);
}
