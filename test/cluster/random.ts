const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const MULBERRY_STEP = 0x6d2b79f5;
const TWO_TO_32 = 4_294_967_296;

/**
 * Repeatable chance (mulberry32). Who decides something has a generator of its own, derived from
 * the seed by name: what one decides does not depend on how fast the others are.
 */
export class Random {
  #state: number;

  constructor(private readonly seed: number) {
    this.#state = seed >>> 0;
  }

  derive(name: string): Random {
    let hash = FNV_OFFSET ^ this.seed;
    for (const character of name) {
      hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), FNV_PRIME);
    }
    return new Random(hash);
  }

  /** From 0 up to but not including 1. */
  fraction(): number {
    this.#state = (this.#state + MULBERRY_STEP) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / TWO_TO_32;
  }

  /** A whole number, both bounds included. */
  integer(smallest: number, largest: number): number {
    return smallest + Math.floor(this.fraction() * (largest - smallest + 1));
  }

  /** `true` in so many of 100 cases. */
  happens(percent: number): boolean {
    return this.fraction() * 100 < percent;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.integer(0, items.length - 1)];
    if (item === undefined) {
      throw new Error('There is nothing to pick from');
    }
    return item;
  }
}
