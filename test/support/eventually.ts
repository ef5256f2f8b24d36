import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS = 20;
const PATIENCE_MS = 20_000;

/** Waits for what another process does in its own time; fails with the last answer if it never does. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  isRight: (answer: T) => boolean,
): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) {
      return answer;
    }
    if (Date.now() > deadline) {
      throw new Error(
        `Waited ${PATIENCE_MS} ms in vain; the last answer: ${JSON.stringify(answer)}`,
      );
    }
    await delay(PAUSE_MS);
  }
}
