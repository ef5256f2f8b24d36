import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.js';
import type { Random } from './random.js';

const MAX_KILLS = 20;
const KILLED_TWICE_PERCENT = 25;
const CALM_BEFORE_KILL_MS = [500, 2_500] as const;
const DEAD_MS = [50, 1_200] as const;

const MAX_STALLS = 6;
/** One of so many is stopped; the others are cut off, which lets more stale statements through. */
const STOPPED_OF = 3;
const CALM_BEFORE_STALL_MS = [1_500, 4_000] as const;
/** The replica is back so long after it has lost a task, while another one may be at that task. */
const ASLEEP_AFTER_LOSS_MS = [0, 300] as const;
/** It has lost nothing by then, so it held nothing. */
const STALLED_BEYOND_LEASE_MS = 2_000;
const PAUSE_MS = 20;

/** What to disturb, and until when. */
export interface Disturbed {
  readonly cluster: Cluster;
  readonly leaseMs: number;
  /** How many tasks this replica runs. */
  readonly countRunning: (name: string) => Promise<number>;
  /** Whether a task of this replica was claimed by another one since then. */
  readonly wasTakenOver: (name: string, sinceMs: number) => Promise<boolean>;
  readonly over: AbortSignal;
}

/**
 * Kills and stalls random replicas, until it is over or was often enough. One replica at least is
 * always well. All are when it is done.
 *
 * A killed replica cannot do harm any more. One that was stopped or cut off can: it goes on, as if
 * the tasks that it has lost were still its own.
 */
export async function disturb(disturbed: Disturbed, random: Random): Promise<void> {
  await Promise.all([
    killSome(disturbed, random.derive('killer')),
    stallSome(disturbed, random.derive('staller')),
  ]);
}

async function killSome({ cluster, over }: Disturbed, random: Random): Promise<void> {
  for (let count = 0; count < MAX_KILLS; count += 1) {
    const victim = await findVictim(cluster, random, random.integer(...CALM_BEFORE_KILL_MS), over);
    if (victim === null) {
      return;
    }
    const isNotAlone = random.happens(KILLED_TWICE_PERCENT);
    const deadMs = random.integer(...DEAD_MS);
    const others = cluster.healthy.filter((name) => name !== victim);
    await Promise.all([
      cluster.kill(victim, deadMs),
      ...(isNotAlone && others.length > 0 ? [cluster.kill(random.pick(others), deadMs)] : []),
    ]);
  }
}

async function stallSome(disturbed: Disturbed, random: Random): Promise<void> {
  const { cluster, over } = disturbed;
  for (let count = 0; count < MAX_STALLS; count += 1) {
    await delay(random.integer(...CALM_BEFORE_STALL_MS), undefined, { signal: over }).catch(
      () => undefined,
    );
    const victim = await findBusiest(disturbed);
    if (victim === null) {
      return;
    }
    const asleepMs = random.integer(...ASLEEP_AFTER_LOSS_MS);
    const end = async (): Promise<void> => {
      await untilTakenOver(victim, disturbed);
      await delay(asleepMs);
    };
    await ((count + 1) % STOPPED_OF > 0 ? cluster.cutOff(victim, end) : cluster.stall(victim, end));
  }
}

/** @returns which replica has the most to lose, as soon as one has any; `null` when it is over */
async function findBusiest({ cluster, countRunning, over }: Disturbed): Promise<string | null> {
  while (!over.aborted) {
    const busy = await Promise.all(
      cluster.healthy.map(async (name) => ({ name, running: await countRunning(name) })),
    );
    // Asked again, because counting takes a while.
    const { healthy } = cluster;
    const [busiest] = busy
      .filter(({ name, running }) => running > 0 && healthy.includes(name))
      .sort((one, other) => other.running - one.running);
    if (busiest !== undefined && healthy.length > 1) {
      return busiest.name;
    }
    await delay(PAUSE_MS);
  }
  return null;
}

async function untilTakenOver(victim: string, { leaseMs, wasTakenOver }: Disturbed): Promise<void> {
  const sinceMs = Date.now();
  const limitMs = sinceMs + leaseMs + STALLED_BEYOND_LEASE_MS;
  while (Date.now() < limitMs && !(await wasTakenOver(victim, sinceMs))) {
    await delay(PAUSE_MS);
  }
}

/** @returns who may be disturbed, as soon as another one is well; `null` when it is over */
async function findVictim(
  cluster: Cluster,
  random: Random,
  calmMs: number,
  over: AbortSignal,
): Promise<string | null> {
  await delay(calmMs, undefined, { signal: over }).catch(() => undefined);
  while (!over.aborted) {
    const { healthy } = cluster;
    if (healthy.length > 1) {
      return random.pick(healthy);
    }
    await delay(PAUSE_MS);
  }
  return null;
}
