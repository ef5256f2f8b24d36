import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { Random } from '../cluster/random.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { findFreePort } from '../support/embedded-postgres.js';
import { Appender } from './appender.js';
import { CallLog } from './call-log.js';
import { RecordingClient } from './client.js';
import type { Fault } from './faults.js';
import { Load } from './load.js';
import { PostgresNode } from './postgres-node.js';
import { newClientRecords, type Evidence, type FaultRecord, type FinalState } from './records.js';
import { ServiceUnderTest } from './service-under-test.js';
import { StallDetector } from './stalls.js';
import {
  ANSWER_LIMITS_MS,
  DATABASE,
  isSoWithin,
  TIMEOUTS,
  untilHealth,
  type World,
} from './world.js';

/** Whoever waits so long for one answer calls it hung. */
const PATIENCE_MS = 2 * ANSWER_LIMITS_MS.submission;
const CALM_MS = 500;
const RECOVERY_PATIENCE_MS = 30_000;
/** Whoever is not done by then has a call that hangs, or a service that was not restored. */
const SETTLE_LIMIT_MS = 2 * PATIENCE_MS;
const REST_LIMIT_MS = 30_000;
const STOP_PATIENCE_MS = 60_000;

/** What to run. */
export interface RunOptions {
  /** The build under test. */
  readonly dist: string;
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** Told what happens, for whoever watches. */
  readonly onProgress: (line: string) => void;
}

/** What a run left behind. */
export interface RunResult {
  readonly evidence: Evidence;
  readonly serviceLog: string;
}

/** Brings up a database, a bad line and the service, and strikes them with one fault after the other. */
export async function runFaults(options: RunOptions): Promise<RunResult> {
  const primary = await PostgresNode.create();
  await primary.query('postgres', `CREATE DATABASE ${DATABASE}`);
  const line = await startTcpProxy(primary.port);
  const spareLine = await startTcpProxy(await findFreePort());
  const connectionString = connectionStringOf([line.port, spareLine.port]);
  const service = await ServiceUnderTest.start(join(options.dist, 'main.js'), {
    TASK_STORAGE_BACKEND: 'postgres',
    POSTGRES_CONNECTION_STRING: connectionString,
    POSTGRES_CONNECT_TIMEOUT_MS: String(TIMEOUTS.connectTimeoutMs),
    POSTGRES_STATEMENT_TIMEOUT_MS: String(TIMEOUTS.statementTimeoutMs),
    POSTGRES_LOCK_TIMEOUT_MS: String(TIMEOUTS.lockTimeoutMs),
    TASK_MAX_TASKS: '50',
    TASK_LEASE_MS: '6000',
    ALLOW_SET_GLOBAL_CONFIG: '1',
    AGENT_KILL_GRACE_MS: '500',
    SHUTDOWN_GRACE_MS: '1000',
  });
  const stalls = new StallDetector();
  const records = newClientRecords();
  const log = new CallLog(records.calls, stalls);
  const load = new Load(
    records,
    () => new RecordingClient(service.address, log, PATIENCE_MS),
    new Random(options.seed),
  );
  const appender = await Appender.open(
    { dist: options.dist, connectionString, ...TIMEOUTS },
    records.appends,
    log,
    PATIENCE_MS,
  );
  const { watch, close } = service.watchHealth();
  const world: World = {
    primary,
    spare: null,
    line,
    spareLine,
    service,
    health: watch,
    load,
  };
  load.start();
  appender.start();
  const faults: FaultRecord[] = [];
  for (const fault of options.faults) {
    faults.push(await bear(world, fault, stalls));
    options.onProgress(describe(faults.at(-1)));
    if (faults.at(-1)?.recoveryMs === null) {
      // Nothing that follows would say anything.
      break;
    }
  }
  const isSettled = await Promise.race([
    Promise.all([load.stop(), appender.stop()]).then(() => true),
    delay(SETTLE_LIMIT_MS, false, { ref: false }),
  ]);
  const final = await readFinalState(world);
  // The end too must come when the database says nothing.
  world.line.blackHole();
  const { tookMs } = await service.stop(STOP_PATIENCE_MS);
  close();
  stalls.stop();
  await Promise.all([line.close(), spareLine.close(), world.primary.remove()]);
  const evidence = {
    records,
    final,
    faults,
    crashes: service.crashes.filter((text) => text !== 'the service ended with 0'),
    isSettled,
    stalledMs: stalls.stalledSince(0),
    stopTookMs: tookMs,
  };
  return { evidence, serviceLog: service.log };
}

function connectionStringOf(ports: readonly number[]): string {
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  return `postgresql://postgres:postgres@${hosts}/${DATABASE}`;
}

async function bear(world: World, fault: Fault, stalls: StallDetector): Promise<FaultRecord> {
  const { health, load, service } = world;
  const unprepared = await fault.prepare(world);
  await delay(CALM_MS);
  // What the fault before or the preparation did to it may show only now.
  await untilHealth(world, 'SERVING');
  const healthBefore = health.statuses.length;
  const startedMs = performance.now();
  const unstruck = await fault.strike(world);
  const overMs = performance.now();
  const stalledMs = stalls.stalledSince(startedMs);
  const isRestored = await isSoWithin(
    RECOVERY_PATIENCE_MS,
    () => load.hasWrittenSince(overMs) && health.statuses.at(-1) === 'SERVING',
  );
  const recoveryMs = isRestored ? performance.now() - overMs - stalls.stalledSince(overMs) : null;
  const found = await fault.examine(world);
  return {
    kind: fault.kind,
    isOutage: fault.isOutage,
    startedMs,
    overMs,
    stalledMs,
    recoveryMs,
    wasNotServing: health.statuses.slice(healthBefore).includes('NOT_SERVING'),
    rssBytes: (await service.measureMemory()).rss,
    problems: [unprepared, unstruck, found].filter((problem) => problem !== undefined),
  };
}

function describe(fault: FaultRecord | undefined): string {
  if (fault === undefined) {
    return '';
  }
  const { kind, startedMs, overMs, recoveryMs, problems } = fault;
  const recovery = recoveryMs === null ? 'not restored' : `restored in ${recoveryMs.toFixed(0)} ms`;
  return [`${kind}: ${(overMs - startedMs).toFixed(0)} ms, ${recovery}`, ...problems].join('; ');
}

const taskRows = z.array(
  z.object({
    taskId: z.string(),
    query: z.string(),
    status: z.string(),
    events: z.array(z.object({ sequence: z.number(), stage: z.string() })),
  }),
);

const settingRows = z.array(z.object({ steps: z.number() }));

/** Waits until nothing is active any more, and reads what the database holds. */
async function readFinalState({ primary }: World): Promise<FinalState> {
  await isSoWithin(REST_LIMIT_MS, async () => {
    const active = await primary.query(
      DATABASE,
      `SELECT 1 FROM agent_tasks WHERE status IN ('pending', 'running')`,
    );
    return active.length === 0;
  });
  const tasks = await primary.query(
    DATABASE,
    `SELECT task_id AS "taskId", query, status, COALESCE(
       (SELECT json_agg(json_build_object('sequence', sequence, 'stage', stage) ORDER BY sequence)
        FROM agent_tasks_events AS e WHERE e.task_id = t.task_id), '[]') AS events
     FROM agent_tasks AS t`,
  );
  const settings = await primary.query(
    DATABASE,
    `SELECT (value->>'steps')::int AS steps FROM agent_tasks_settings WHERE value ? 'steps'`,
  );
  const [setting] = settingRows.parse(settings);
  return { tasks: taskRows.parse(tasks), configSteps: setting?.steps ?? null };
}
