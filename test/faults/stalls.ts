const TICK_MS = 100;
/** A machine that is only busy is not late by so much. */
const STALL_MS = 1_000;

/**
 * Notices when this process stood still, because somebody stopped it or the machine: what an answer took
 * longer for that is nobody's fault. The service on the same machine stood still with it, or waited.
 */
export class StallDetector {
  readonly #stalls: { readonly atMs: number; readonly lateMs: number }[] = [];
  #lastMs = performance.now();
  readonly #timer = setInterval(() => this.#tick(), TICK_MS);

  /** How long it stood still since then, in milliseconds. */
  stalledSince(sinceMs: number): number {
    this.#tick();
    return this.#stalls
      .filter(({ atMs }) => atMs > sinceMs)
      .reduce((sum, { lateMs }) => sum + lateMs, 0);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = performance.now();
    const lateMs = nowMs - this.#lastMs - TICK_MS;
    this.#lastMs = nowMs;
    if (lateMs > STALL_MS) {
      this.#stalls.push({ atMs: nowMs, lateMs });
    }
  }
}
