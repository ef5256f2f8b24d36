import type { Clock } from '../../task/clock.js';

/** A wait that can be ended early, and that remembers being rung while nobody waited. */
export class Alarm {
  #rung = false;
  #wake: (() => void) | null = null;

  constructor(private readonly clock: Clock) {}

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** @returns whether it was rung, during this wait or since the one before */
  async wait(delayMs: number): Promise<boolean> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const cancelTimer = this.clock.after(delayMs, resolve);
        this.#wake = () => {
          cancelTimer();
          resolve();
        };
      });
      this.#wake = null;
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}

/** Waits, or returns at once when the signal is aborted. */
export async function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  const alarm = new Alarm(clock);
  const ring = () => alarm.ring();
  signal.addEventListener('abort', ring, { once: true });
  if (!signal.aborted) {
    await alarm.wait(delayMs);
  }
  signal.removeEventListener('abort', ring);
}

/** @returns whether the work ended in time; it goes on when it did not */
export async function endsWithin(
  clock: Clock,
  limitMs: number,
  work: Promise<unknown>,
): Promise<boolean> {
  const alarm = new Alarm(clock);
  const ring = () => alarm.ring();
  work.then(ring, ring);
  return alarm.wait(limitMs);
}
