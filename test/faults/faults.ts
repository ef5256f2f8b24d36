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

/** Part of a fault. @returns what went wrong beside what the clients see */
type Step = (world: World) => Promise<string | void>;

/** What a fault does, one step after the other. */
interface Steps {
  /** Changes what has to be changed before; the service is well again when the strike comes. */
  readonly prepare?: Step;
  /** Is over the moment that it resolves: the time until the service is restored counts from there. */
  readonly strike: Step;
  /** Looks, when the service is restored, at what nobody measures, and clears up. */
  readonly examine?: Step;
}

/** Something bad that happens to the service. */
export interface Fault extends Required<Steps> {
  readonly kind: string;
  /** Whether the database can be neither reached nor written meanwhile. */
  readonly isOutage: boolean;
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

const nothing: Step = async () => undefined;

function fault(kind: string, isOutage: boolean, steps: Step | Steps): Fault {
  const {
    prepare = nothing,
    strike,
    examine = nothing,
  } = typeof steps === 'function' ? { strike: steps } : steps;
  return { kind, isOutage, prepare, strike, examine };
}

const terminate = async (primary: PostgresNode, condition: string) =>
  primary.query(
    DATABASE,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${SERVICE} AND ${condition}`,
  );

/** The last statement of a session that listens, until it is probed and afterwards. */
const LISTENS = `pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock')`;

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
async function addStandby(world: World): Promise<void> {
  const { primary } = world;
  const sinceMs = performance.now();
  // Postgres ends its sessions before it is copied.
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
  world.spare = standby;
  await isSoWithin(STANDBY_LIMIT_MS, () => world.load.hasWrittenSince(sinceMs));
}

async function failOver(world: World): Promise<void> {
  const { primary, spare, line, spareLine } = world;
  if (spare === null) {
    throw new Error('There is no standby to fail over to');
  }
  await primary.kill();
  line.cut();
  await untilHealth(world, 'NOT_SERVING');
  await spare.query(DATABASE, 'SELECT pg_promote()');
  world.primary = spare;
  world.spare = primary;
  world.line = spareLine;
  world.spareLine = line;
}

async function removeSpare(world: World): Promise<void> {
  await world.spare?.remove();
  world.spare = null;
}

async function usesDatabaseTime({ primary }: World): Promise<string | undefined> {
  const rows = await primary.query(
    DATABASE,
    `SELECT 1 FROM agent_tasks, LATERAL (VALUES (created_at), (updated_at), (finished_at)) t (at)
     WHERE at NOT BETWEEN now() - INTERVAL '30 minutes' AND now() + INTERVAL '1 minute'`,
  );
  return rows.length > 0 ? `${rows.length} times of the service's clock are stored` : undefined;
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
  fault('failover', true, {
    prepare: addStandby,
    strike: failOver,
    examine: async (world) => {
      await removeSpare(world);
      return listenersAreBack(world);
    },
  }),
  fault('sessions terminated', false, {
    strike: async ({ primary }) => void (await terminate(primary, 'true')),
    examine: listenersAreBack,
  }),
  fault('listener terminated', false, {
    strike: async ({ primary }) => {
      const terminated = await terminate(primary, LISTENS);
      return terminated.length === 0 ? 'nobody listened for changes' : undefined;
    },
    examine: listenersAreBack,
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
    fault(`clock an hour ${sign > 0 ? 'ahead' : 'behind'}`, false, {
      strike: async ({ service }) => {
        await service.shiftClock(sign * HOUR_MS);
        await delay(WRONG_CLOCK_MS);
        await service.shiftClock(0);
      },
      examine: usesDatabaseTime,
    }),
  ),
];
