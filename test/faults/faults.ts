import { setTimeout as delay } from 'node:timers/promises';
import { PostgresNode } from './postgres-node.js';
import {
  DATABASE,
  LONGER_THAN_TIMEOUTS_MS,
  TIMEOUTS,
  untilHealth,
  isSoWithin,
  type World,
} from './world.js';
import { watchForCommit, watchForWrites } from './postgres-watchers.js';

/** Something bad that happens and is over when it resolves. */
export interface Fault {
  readonly kind: string;
  /** Whether the database can be neither reached nor written meanwhile. */
  readonly isOutage: boolean;
  /** @returns what went wrong beside what the clients see */
  strike(world: World): Promise<readonly string[]>;
}

const SERVICE = `application_name = 'nestjs-task-storage'`;
const SWALLOWED_ANSWERS = 20;
const SWALLOW_LIMIT_MS = 10_000;
const HOUR_MS = 3_600_000;
const WRONG_CLOCK_MS = 1_000;
const BAD_LINE_MS = 1_500;
const REFUSING_MS = 1_500;
const LISTENER_LIMIT_MS = 10_000;
const STANDBY_LIMIT_MS = 20_000;

function fault(kind: string, isOutage: boolean, strike: (world: World) => Promise<unknown>): Fault {
  return {
    kind,
    isOutage,
    strike: async (world) => {
      const problems = await strike(world);
      return typeof problems === 'string' ? [problems] : [];
    },
  };
}

const terminate = async (primary: PostgresNode, condition: string) =>
  primary.query(
    DATABASE,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${SERVICE} AND ${condition}`,
  );

/** The last statement of a session that listens, until it is probed and afterwards. */
const LISTENS = `(query LIKE 'LISTEN %' OR query = 'SELECT 1')`;

async function countListeners(primary: PostgresNode): Promise<number> {
  const rows = await primary.query(
    DATABASE,
    `SELECT 1 FROM pg_stat_activity WHERE ${SERVICE} AND ${LISTENS}`,
  );
  return rows.length;
}

/** Both the service and the appender listen. */
async function listenersAreBack({ primary }: World): Promise<string | undefined> {
  const areBack = await isSoWithin(
    LISTENER_LIMIT_MS,
    async () => (await countListeners(primary)) >= 2,
  );
  return areBack ? undefined : 'nobody listens for changes any more';
}

async function swallow(
  { line }: World,
  makeWatcher: Parameters<World['line']['swallowAnswers']>[0],
): Promise<string | undefined> {
  const end = line.swallowAnswers(makeWatcher);
  await isSoWithin(SWALLOW_LIMIT_MS, () => line.swallowed >= SWALLOWED_ANSWERS);
  end();
  return line.swallowed === 0 ? 'no answer was swallowed' : undefined;
}

async function setReadOnly(primary: PostgresNode, value: 'on' | 'off'): Promise<void> {
  await primary.query(DATABASE, `ALTER SYSTEM SET default_transaction_read_only = ${value}`);
  await primary.query(DATABASE, 'SELECT pg_reload_conf()');
}

/** Makes a standby that each commit waits for, so that nothing acknowledged can be lost with the primary. */
async function addStandby(world: World): Promise<PostgresNode> {
  const { primary } = world;
  // Postgres ends its sessions before it is copied: the shortest outage of this fault.
  await primary.stop();
  const standby = await PostgresNode.copyOf(primary);
  await standby.follow(primary, 'standby');
  await primary.start();
  await standby.start();
  world.spareLine.restore();
  world.spareLine.leadTo(standby.port);
  await primary.query(DATABASE, `ALTER SYSTEM SET synchronous_standby_names = 'standby'`);
  await primary.query(DATABASE, 'SELECT pg_reload_conf()');
  const isSynchronous = await isSoWithin(STANDBY_LIMIT_MS, async () => {
    const rows = await primary.query(
      DATABASE,
      `SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'`,
    );
    return rows.length > 0;
  });
  if (!isSynchronous) {
    throw new Error(`The standby does not follow:\n${standby.log}`);
  }
  return standby;
}

async function failOver(world: World): Promise<void> {
  const { primary, line, spareLine } = world;
  const standby = await addStandby(world);
  const sinceMs = performance.now();
  await untilHealth(world, 'SERVING');
  await isSoWithin(STANDBY_LIMIT_MS, () => world.load.hasWrittenSince(sinceMs));
  await primary.kill();
  line.cut();
  await untilHealth(world, 'NOT_SERVING');
  await standby.query(DATABASE, 'SELECT pg_promote()');
  world.primary = standby;
  world.line = spareLine;
  world.spareLine = line;
  await primary.remove();
}

export const FAULTS: readonly Fault[] = [
  fault('Postgres killed', true, async (world) => {
    await world.primary.kill();
    await untilHealth(world, 'NOT_SERVING');
    await world.primary.start();
  }),
  fault('Postgres stopped', true, async (world) => {
    await world.primary.stop();
    await untilHealth(world, 'NOT_SERVING');
    await world.primary.start();
  }),
  fault('failover', true, async (world) => {
    await failOver(world);
    return listenersAreBack(world);
  }),
  fault('sessions terminated', false, async ({ primary }) => terminate(primary, 'true')),
  fault('listener terminated', false, async (world) => {
    if ((await terminate(world.primary, LISTENS)).length === 0) {
      return 'nobody listened for changes';
    }
    return listenersAreBack(world);
  }),
  fault('black hole', true, async ({ line }) => {
    line.blackHole();
    await delay(LONGER_THAN_TIMEOUTS_MS);
    line.restore();
  }),
  fault('line cut', true, async (world) => {
    world.line.cut();
    await untilHealth(world, 'NOT_SERVING');
    world.line.restore();
  }),
  fault('connections reset', false, async ({ line }) => line.reset()),
  fault('line slow', false, async ({ line }) => {
    line.slowDown({ delayMs: 20, bytesPerSecond: 200_000 });
    await delay(BAD_LINE_MS);
    line.restore();
  }),
  fault('line paused', false, async ({ line }) => {
    line.pause();
    await delay(BAD_LINE_MS);
    line.restore();
  }),
  fault('cut in a COMMIT', false, async (world) => swallow(world, watchForCommit)),
  fault('cut in a write', false, async (world) => swallow(world, watchForWrites)),
  fault('table locked', false, async ({ primary }) =>
    primary.withClient(DATABASE, async (client) => {
      await client.query('BEGIN; LOCK TABLE agent_tasks IN ACCESS EXCLUSIVE MODE');
      await delay(3 * TIMEOUTS.lockTimeoutMs);
      await client.query('ROLLBACK');
    }),
  ),
  fault('read-only', true, async (world) => {
    await setReadOnly(world.primary, 'on');
    await untilHealth(world, 'NOT_SERVING');
    await setReadOnly(world.primary, 'off');
  }),
  fault('disk full', false, async ({ primary }) => {
    await primary.query(
      DATABASE,
      `CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'could not extend file: No space left on device'
           USING ERRCODE = '53100'; END $$`,
    );
    await primary.query(
      DATABASE,
      `CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON agent_tasks
         FOR EACH STATEMENT EXECUTE FUNCTION refuse()`,
    );
    await delay(REFUSING_MS);
    await primary.query(DATABASE, 'DROP TRIGGER refuse ON agent_tasks');
  }),
  ...([1, -1] as const).map((sign) =>
    fault(`clock an hour ${sign > 0 ? 'ahead' : 'behind'}`, false, async ({ service, primary }) => {
      await service.shiftClock(sign * HOUR_MS);
      await delay(WRONG_CLOCK_MS);
      await service.shiftClock(0);
      const rows = await primary.query(
        DATABASE,
        `SELECT 1 FROM agent_tasks, LATERAL (VALUES (created_at), (updated_at), (finished_at)) t (at)
         WHERE at NOT BETWEEN now() - INTERVAL '30 minutes' AND now() + INTERVAL '1 minute'`,
      );
      return rows.length > 0 ? `${rows.length} times of the service's clock are stored` : undefined;
    }),
  ),
];
