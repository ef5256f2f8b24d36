/** How much a {@link StatementLane} lets through. */
export interface LaneLimits {
  /** How many shared statements may be under way, not counting slow ones. */
  readonly maxShared: number;
  /** How many slow ones each gatherer may have, which have been under way for a while. */
  readonly maxSlow: number;
  /** After how long a statement is slow. Default {@link SLOW_MS}. */
  readonly slowAfterMs?: number;
}

/**
 * A statement is slow after so long: somebody else keeps it from going on, or its connection is dead.
 * Others do not wait for it.
 */
export const SLOW_MS = 50;

/** The place of one gatherer in a lane. */
export interface LanePlace {
  /** Whether no statement is under way, of any gatherer. */
  readonly isLaneEmpty: boolean;
  /** How many more statements the gatherer may send now. */
  readonly free: number;
  /** Lets a statement of the gatherer through. @returns ends it */
  readonly enter: () => () => void;
}

interface Statement {
  readonly since: number;
  /** Wakes the gatherer that sent it. */
  readonly wake: () => void;
}

/**
 * The shared statements of several gatherers that are under way. The fewer there are at once, the more
 * calls gather for the next one. A slow one holds up its own gatherer only.
 */
export class StatementLane {
  readonly #underWay = new Set<Statement>();
  /** The gatherers, the one whose statement ended last at the end. */
  #wakers: readonly (() => void)[] = [];

  constructor(private readonly limits: LaneLimits) {}

  /** @param wake is called when there may be room for another statement */
  join(wake: () => void): LanePlace {
    this.#wakers = [...this.#wakers, wake];
    const underWay = this.#underWay;
    const countFree = (): number => this.#countFree(wake);
    return {
      get isLaneEmpty() {
        return underWay.size === 0;
      },
      get free() {
        return countFree();
      },
      enter: () => this.#enter({ since: performance.now(), wake }),
    };
  }

  #countFree(wake: () => void): number {
    const { maxShared, maxSlow, slowAfterMs = SLOW_MS } = this.limits;
    const slowSince = performance.now() - slowAfterMs;
    let busy = 0;
    let ownSlow = 0;
    for (const statement of this.#underWay) {
      if (statement.since > slowSince) {
        busy += 1;
      } else if (statement.wake === wake) {
        ownSlow += 1;
      }
    }
    return maxShared - busy - Math.max(0, ownSlow - maxSlow);
  }

  #enter(statement: Statement): () => void {
    this.#underWay.add(statement);
    return () => {
      this.#underWay.delete(statement);
      const { wake } = statement;
      this.#wakers = [...this.#wakers.filter((other) => other !== wake), wake];
      this.#wakers.forEach((other) => other());
    };
  }
}
