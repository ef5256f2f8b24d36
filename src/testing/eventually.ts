import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS = 5;
/** Enough for what takes milliseconds, on a slow machine. */
export const PATIENCE_MS = 5_000;

/** Asks until the answer is right, and fails when it is not within seconds. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T> | T,
  isRight: (answer: T) => boolean,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) {
      return answer;
    }
    assert.ok(performance.now() < deadlineMs, `${what}: not within ${patienceMs} ms`);
    await delay(PAUSE_MS);
  }
}
