import { setTimeout as delay } from 'node:timers/promises';
import type { TcpProxy } from '../support/tcp-proxy.js';
import type { HealthWatch } from '../support/health-client.js';
import type { Load } from './load.js';
import type { PostgresNode } from './postgres-node.js';
import type { ServiceUnderTest } from './service-under-test.js';

/** The time-outs that the service and the appender are given. */
export const TIMEOUTS = {
  connectTimeoutMs: 1_000,
  statementTimeoutMs: 2_000,
  lockTimeoutMs: 1_000,
} as const;

/** How much longer than a statement may take its client waits for the answer; a constant of the storage. */
const CLIENT_PATIENCE_MS = 2_000;
/** What one statement may take at the most: waiting to be sent, for a connection, and for its answer. */
const STATEMENT_MS =
  2 * TIMEOUTS.connectTimeoutMs + TIMEOUTS.statementTimeoutMs + CLIENT_PATIENCE_MS;
/** How long a repeated submission waits to hear what became of the one before; a constant of the agent. */
const DOUBT_MS = 5_000;
/** How long a cancellation waits for the end of a run; a constant of the agent. */
const CANCEL_MS = 5_000;

/** A machine that is busy with other things takes longer. */
const BUSY_MS = 1_000;

/** The longest answer that the time-outs allow. */
export const ANSWER_LIMITS_MS = {
  /** To what sends one statement, after which it has its answer or has failed. */
  single: STATEMENT_MS + BUSY_MS,
  /** To what reads, and writes what it has changed. */
  pair: 2 * STATEMENT_MS + BUSY_MS,
  /** To what reads, and writes twice. */
  triple: 3 * STATEMENT_MS + BUSY_MS,
  /** To what waits for the end of a run, and writes one itself. */
  cancellation: CANCEL_MS + STATEMENT_MS + BUSY_MS,
  /** To what reads, waits for what is in doubt, and writes. */
  submission: 2 * STATEMENT_MS + DOUBT_MS + BUSY_MS,
} as const;

/** Longer than every time-out. */
export const LONGER_THAN_TIMEOUTS_MS = STATEMENT_MS + 3 * BUSY_MS;

export const DATABASE = 'tasks';
const POLL_MS = 20;
const HEALTH_LIMIT_MS = 12_000;

/** Everything a fault can touch. */
export interface World {
  /** The server that takes writes; another one after a failover. */
  primary: PostgresNode;
  /** The standby before a failover, and what is left of the server before afterwards. */
  spare: PostgresNode | null;
  /** The line that leads to it. */
  line: TcpProxy;
  /** Where nothing listens, until there is a standby. */
  spareLine: TcpProxy;
  readonly service: ServiceUnderTest;
  readonly health: HealthWatch;
  readonly load: Load;
}

/** Polls until it is so. @returns `false` when it does not become so in time */
export async function isSoWithin(
  limitMs: number,
  isSo: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const deadlineMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) {
      return false;
    }
    await delay(POLL_MS);
  }
  return true;
}

/** Waits until health says it, but not for ever: the checker says whether it did. */
export async function untilHealth({ health }: World, status: string): Promise<void> {
  await isSoWithin(HEALTH_LIMIT_MS, () => health.statuses.at(-1) === status);
}
