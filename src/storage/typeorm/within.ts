import { TaskStorageError } from '../../task/errors.js';

/**
 * Waits for the work, but not for ever.
 *
 * @param over ends the waiting when it is aborted
 * @throws {TaskStorageError} `UNAVAILABLE` when the waiting ended before the work
 */
export async function within<T>(limitMs: number, work: Promise<T>, over: AbortSignal): Promise<T> {
  let giveUp: (reason: string) => void = () => undefined;
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = (reason) => reject(new TaskStorageError('UNAVAILABLE', reason));
  });
  const end = (): void => giveUp('The session has ended');
  const timer = setTimeout(() => giveUp(`Nothing came for ${limitMs} ms`), limitMs);
  timer.unref();
  over.addEventListener('abort', end);
  try {
    if (over.aborted) {
      end();
    }
    return await Promise.race([work, givenUp]);
  } finally {
    clearTimeout(timer);
    over.removeEventListener('abort', end);
  }
}
