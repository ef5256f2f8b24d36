/** The value below which the share lies; of no values it is not a number. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((first, second) => first - second);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/** What several measurements of one thing came to. */
export interface Spread {
  readonly median: number;
  /** Half the distance between the quartiles: how far a usual measurement is from the median. */
  readonly noise: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    median: quantile(values, 0.5),
    noise: (quantile(values, 0.75) - quantile(values, 0.25)) / 2,
  };
}
