import { runCallers, type Operation, type Turn } from './closed-loop.js';
import { quantile, spreadOf, type Spread } from './statistics.js';

/** What a contender came to in one row. */
export interface Measured {
  readonly operationsPerSecond: Spread;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What a row came to: each contender, and how much faster the first is than each other. */
export interface MeasuredRow {
  readonly contenders: Readonly<Record<string, Measured>>;
  readonly ratios: Readonly<Record<string, Spread>>;
}

/** Takes one turn of a contender. */
export type TakeTurn = () => Promise<Turn>;

/**
 * Lets contenders take turns, so that whatever else the machine does befalls all of them. A ratio is
 * made of turns that followed each other.
 */
export async function alternate(
  contenders: Readonly<Record<string, TakeTurn>>,
  rounds: number,
): Promise<MeasuredRow> {
  const names = Object.keys(contenders);
  const turns = new Map<string, Turn[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const turn = await contenders[name]?.();
      if (turn !== undefined) {
        turns.get(name)?.push(turn);
      }
    }
  }
  const [first = '', ...others] = names;
  const speedsOf = (name: string): number[] =>
    (turns.get(name) ?? []).map(({ operationsPerSecond }) => operationsPerSecond);
  const speeds = speedsOf(first);
  return {
    contenders: Object.fromEntries(names.map((name) => [name, summarize(turns.get(name) ?? [])])),
    ratios: Object.fromEntries(
      others.map((name) => [
        name,
        spreadOf(speedsOf(name).map((other, round) => (speeds[round] ?? Number.NaN) / other)),
      ]),
    ),
  };
}

function summarize(turns: readonly Turn[]): Measured {
  const latenciesMs = turns.flatMap((turn) => turn.latenciesMs);
  return {
    operationsPerSecond: spreadOf(turns.map((turn) => turn.operationsPerSecond)),
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

/** Has each contender's operation called by so many callers, in turns. */
export async function alternateOperations(
  operations: Readonly<Record<string, Operation>>,
  callers: number,
  { rounds, turnMs }: { readonly rounds: number; readonly turnMs: number },
): Promise<MeasuredRow> {
  const turns = Object.entries(operations).map(([name, operation]): [string, TakeTurn] => [
    name,
    async () => runCallers(operation, callers, turnMs),
  ]);
  for (const [, takeTurn] of turns) {
    // The first turn compiles and fills caches.
    await takeTurn();
  }
  return alternate(Object.fromEntries(turns), rounds);
}
