import type { Clock } from '../../task/clock.js';

const MS_PER_SECOND = 1000;

/** What is left of a key's calls at a time. */
interface Bucket {
  calls: number;
  atMs: number;
}

/**
 * Admits so many calls a second for each key, and as many at once after a second without any: a
 * token bucket.
 */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /** @param callsPerSecond at least 1 */
  constructor(
    private readonly callsPerSecond: number,
    private readonly clock: Clock,
  ) {}

  /** @returns 0 when the call is admitted, else after how many ms it would be */
  admit(key: string): number {
    const nowMs = this.clock.now().getTime();
    const bucket = this.#buckets.get(key) ?? { calls: this.callsPerSecond, atMs: nowMs };
    this.#buckets.set(key, bucket);
    // A clock that was set back gives nothing, and takes nothing.
    const passedMs = Math.max(nowMs - bucket.atMs, 0);
    const refilled = bucket.calls + (passedMs * this.callsPerSecond) / MS_PER_SECOND;
    bucket.calls = Math.min(refilled, this.callsPerSecond);
    bucket.atMs = nowMs;
    if (bucket.calls < 1) {
      return ((1 - bucket.calls) * MS_PER_SECOND) / this.callsPerSecond;
    }
    bucket.calls -= 1;
    return 0;
  }

  /** Forgets the keys that are not used any more. */
  keepOnly(isUsed: (key: string) => boolean): void {
    for (const key of this.#buckets.keys()) {
      if (!isUsed(key)) {
        this.#buckets.delete(key);
      }
    }
  }
}
