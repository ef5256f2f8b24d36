import { parseArgs } from 'node:util';

/** How long and how wide to measure. */
export interface BenchOptions {
  readonly isQuick: boolean;
  /** Whether to fail when a floor is not reached. */
  readonly checksFloors: boolean;
  /** Whether to show that storage stays bounded, instead of speed. */
  readonly isSoak: boolean;
  /** How often each contender has its turn. */
  readonly rounds: number;
  /** How long a turn is. */
  readonly turnMs: number;
  readonly callers: readonly number[];
}

/** @throws when an argument is unknown, naming it */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      soak: { type: 'boolean', default: false },
    },
  });
  return {
    isQuick: values.quick,
    checksFloors: values.check,
    isSoak: values.soak,
    rounds: values.quick ? 5 : 7,
    turnMs: values.quick ? 200 : 500,
    // Many first: what one caller measures is to be compiled by then.
    callers: values.quick ? [64, 1] : [512, 64, 1],
  };
}
