/**
 * Measures the product beside other ways of doing the same, on a Postgres of its own. It needs
 * nothing but `npm install`: `npm run bench`, `npm run bench -- --quick --check`,
 * `npm run bench -- --soak`.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { inspect } from 'node:util';
import { startPostgres, type PostgresServer } from '../test/support/embedded-postgres.js';
import { parseOptions, type BenchOptions } from './options.js';
import { loadPackage } from './product-build.js';
import { FLOORS, judge } from './report/floors.js';
import { drawChart } from './report/svg.js';
import { formatFloors, formatRows } from './report/table.js';
import { measureGrpc } from './rows/grpc-rows.js';
import { measureLargeTable, measureMemoryLists } from './rows/large-table-rows.js';
import { measureMemoryOperations, measurePostgresOperations } from './rows/operation-rows.js';
import type { BenchRow } from './rows/row.js';
import { levelsOff, readsWhileCleaning } from './soak/soak.js';

const RESULTS = new URL('results/', import.meta.url);
const CHART = new URL('../docs/performance.svg', import.meta.url);

/** Durable as by default; only made for loading a large table without stops. */
const SERVER_SETTINGS = {
  max_wal_size: '8GB',
  shared_buffers: '512MB',
  maintenance_work_mem: '256MB',
};

/** Rounds of the soak are seconds and stand for days: the server's own cleaner must come as often. */
const ROUNDS_SETTINGS = { ...SERVER_SETTINGS, autovacuum_naptime: '1s' };

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function databaseOn(server: PostgresServer, name: string): Promise<string> {
  await server.createDatabase(name);
  return server.connectionString(name);
}

async function measureAll(
  server: PostgresServer,
  options: BenchOptions,
): Promise<readonly BenchRow[]> {
  const { createMemoryTaskStorage } = await loadPackage();
  const create = () => createMemoryTaskStorage({ maxTasks: 1_000_000 });
  const steps: readonly [string, () => Promise<readonly BenchRow[]>][] = [
    [
      'single tasks on Postgres',
      async () => measurePostgresOperations(await databaseOn(server, 'operations'), options),
    ],
    ['gRPC', async () => measureGrpc(await databaseOn(server, 'grpc'), options)],
    ['single tasks in memory', async () => measureMemoryOperations(options)],
    ['lists in memory', async () => measureMemoryLists(create, options)],
    [
      'a table of 1,000,000',
      async () => measureLargeTable(await databaseOn(server, 'large'), options),
    ],
  ];
  const rows: BenchRow[] = [];
  for (const [name, measure] of steps) {
    const begin = performance.now();
    rows.push(...(await measure()));
    print(`measured ${name} in ${((performance.now() - begin) / 1000).toFixed(0)} s`);
  }
  return rows;
}

async function report(rows: readonly BenchRow[], options: BenchOptions): Promise<boolean> {
  const floors = judge(FLOORS, rows);
  const machine = {
    cores: cpus().length,
    processor: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    node: process.version,
    peakMemoryMiB: Math.round(process.resourceUsage().maxRSS / 1024),
  };
  print(`\n${formatRows(rows)}\n\n${formatFloors(floors)}\n`);
  print(
    `${machine.cores} cores, ${machine.node}; peak memory of the measuring process ${machine.peakMemoryMiB} MiB`,
  );
  const result = { measuredAt: new Date().toISOString(), machine, options, rows, floors };
  await mkdir(RESULTS, { recursive: true });
  await writeFile(new URL('latest.json', RESULTS), `${JSON.stringify(result, null, 2)}\n`);
  const title = `Calls a second, ${machine.cores} cores shared by all processes`;
  const chart = drawChart(
    rows.filter(({ callers }) => callers === 64),
    title,
  );
  await writeFile(options.isQuick ? new URL('latest.svg', RESULTS) : CHART, chart);
  const missed = floors.filter(({ isReached }) => !isReached);
  missed.forEach(({ name, ratio, atLeast }) => {
    print(`Under its floor: ${name}: ${ratio.median.toFixed(2)} of ${atLeast.toFixed(2)}`);
  });
  return missed.length === 0;
}

async function onServer<T>(
  settings: Readonly<Record<string, string>>,
  work: (server: PostgresServer) => Promise<T>,
): Promise<T> {
  const server = await startPostgres({ settings });
  const result = await work(server);
  await server.stop();
  return result;
}

/** @returns whether storage stays bounded */
async function soak({ isQuick }: BenchOptions): Promise<boolean> {
  const growth = await onServer(ROUNDS_SETTINGS, async (server) =>
    levelsOff(await databaseOn(server, 'soak'), isQuick ? 12 : 30, print),
  );
  const slowdown = await onServer(SERVER_SETTINGS, async (server) =>
    readsWhileCleaning(await databaseOn(server, 'cleaned'), isQuick ? 100_000 : 500_000, print),
  );
  const problems = [...growth, ...slowdown];
  problems.forEach((problem) => print(`Not bounded: ${problem}`));
  return problems.length === 0;
}

async function bench(options: BenchOptions): Promise<boolean> {
  const rows = await onServer(SERVER_SETTINGS, async (server) => measureAll(server, options));
  const isReached = await report(rows, options);
  return isReached || !options.checksFloors;
}

async function run(options: BenchOptions): Promise<boolean> {
  return options.isSoak ? soak(options) : bench(options);
}

try {
  // Not exitCode, which the embedded server's own exit hook overrules; and what is still open would
  // keep the process, or fail when its server stops.
  process.exit((await run(parseOptions(process.argv.slice(2)))) ? 0 : 1);
} catch (error) {
  process.stderr.write(`${inspect(error)}\n`);
  process.exit(1);
}
