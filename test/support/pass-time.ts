import type { ManualClock } from './manual-clock.js';

const STEP_MS = 1_000;

/** Lets the time of a clock pass until the work has ended. */
export async function passTime<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  const ended = work.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([ended, clock.advance(STEP_MS)]))) {
    // The clock has moved on.
  }
  return work;
}
