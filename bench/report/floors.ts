import type { Spread } from '../measure/statistics.js';
import type { BenchRow } from '../rows/row.js';

/** What a ratio of a run must be. */
export interface Floor {
  readonly name: string;
  /** Finds the ratio: how much faster the product is. */
  readonly find: (rows: readonly BenchRow[]) => Spread | undefined;
  readonly atLeast: number;
}

/** What a floor came to in a run. */
export interface FloorResult {
  readonly name: string;
  readonly ratio: Spread;
  readonly atLeast: number;
  /** Whether the ratio reaches the floor, or misses it by no more than its own noise. */
  readonly isReached: boolean;
}

function ratioOf(
  rows: readonly BenchRow[],
  work: string,
  backend: BenchRow['backend'],
  callers: number,
  other: string,
): Spread | undefined {
  return rows.find((row) => row.work === work && row.backend === backend && row.callers === callers)
    ?.ratios[other];
}

function onPostgres(work: string, callers: number, other: string, atLeast: number): Floor {
  return {
    name: `${work}, ${callers} ${callers === 1 ? 'caller' : 'callers'}, over ${other}`,
    find: (rows) => ratioOf(rows, work, 'Postgres', callers, other),
    atLeast,
  };
}

export const FLOORS: readonly Floor[] = [
  onPostgres('get', 64, 'node-postgres', 4),
  ...['create', 'update', 'append event'].map((work) => onPostgres(work, 64, 'node-postgres', 3.5)),
  ...['get', 'create', 'update'].map((work) => onPostgres(work, 1, 'node-postgres', 0.9)),
  ...['get', 'create', 'update', 'append event'].map((work) => onPostgres(work, 64, 'typeorm', 6)),
  {
    ...onPostgres('list page 5,000', 1, 'page 1', 1 / 1.5),
    name: 'list page 5,000 over list page 1',
  },
  {
    ...onPostgres('count active', 1, 'SELECT 1', 1 / 2),
    name: 'count among 1,000,000 over SELECT 1',
  },
  {
    name: 'QueryTaskStatus, memory, over a bare handler',
    find: (rows) => ratioOf(rows, 'QueryTaskStatus', 'gRPC, memory', 64, 'bare handler'),
    atLeast: 0.9,
  },
  {
    name: 'QueryTaskStatus, Postgres, over a bare handler',
    find: (rows) => ratioOf(rows, 'QueryTaskStatus', 'gRPC, Postgres', 64, 'bare handler'),
    atLeast: 0.8,
  },
  {
    name: 'memory list among 100,000 over among 1,000',
    find: (rows) => ratioOf(rows, 'list 10', 'memory', 1, 'among 1000'),
    atLeast: 1 / 2,
  },
];

/** @throws when a ratio was not measured */
export function judge(floors: readonly Floor[], rows: readonly BenchRow[]): readonly FloorResult[] {
  return floors.map(({ name, find, atLeast }) => {
    const ratio = find(rows);
    if (ratio === undefined) {
      throw new Error(`Nothing was measured for "${name}"`);
    }
    return { name, ratio, atLeast, isReached: ratio.median + ratio.noise >= atLeast };
  });
}
