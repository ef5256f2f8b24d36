import type { Clock } from '../../task/clock.js';
import { OutcomeUnknownError, TaskStorageError } from '../../task/errors.js';
import { pause } from './alarm.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** When to stop trying. */
export interface RetryLimits {
  clock: Clock;
  /** Aborted when nobody waits for the work any more. */
  signal: AbortSignal;
  /** For how long the storage may be unavailable. Default: until the signal is aborted. */
  forMs?: number | undefined;
}

type IsWorthAnotherTry = (error: unknown) => boolean;

export function isUnavailable(error: unknown): error is TaskStorageError {
  return error instanceof TaskStorageError && error.code === 'UNAVAILABLE';
}

/**
 * Repeats work while the storage is unavailable, with pauses that grow from 0.1 to 5 seconds.
 *
 * @param work is told how often it was tried before: a try that failed may have been written
 * @throws the last error, when it is of another kind or a limit is reached
 */
export async function retryWhileUnavailable<T>(
  work: (failedTries: number) => Promise<T>,
  limits: RetryLimits,
): Promise<T> {
  return retry(work, limits, isUnavailable);
}

/**
 * Repeats work that must be done in the end, whatever the storage says, with the same pauses.
 *
 * @throws the last error, when a limit is reached
 */
export async function retryWhateverHappens<T>(
  work: () => Promise<T>,
  limits: RetryLimits,
): Promise<T> {
  return retry(work, limits, () => true);
}

async function retry<T>(
  work: (failedTries: number) => Promise<T>,
  { clock, signal, forMs = Infinity }: RetryLimits,
  isWorthAnotherTry: IsWorthAnotherTry,
): Promise<T> {
  const startedMs = clock.now().getTime();
  let doubt: OutcomeUnknownError | null = null;
  for (let failedTries = 0; ; failedTries += 1) {
    try {
      return await work(failedTries);
    } catch (error) {
      doubt = error instanceof OutcomeUnknownError ? error : doubt;
      const triedMs = clock.now().getTime() - startedMs;
      if (!isWorthAnotherTry(error) || signal.aborted || triedMs >= forMs) {
        // A later try that was refused does not say what became of an earlier one.
        throw isUnavailable(error) ? (doubt ?? error) : error;
      }
    }
    await pause(clock, Math.min(FIRST_PAUSE_MS * 2 ** failedTries, LONGEST_PAUSE_MS), signal);
  }
}
