import { TaskStorageError } from '../../src/task/errors.js';
import type { TaskLeases } from '../../src/task/task-lease.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { wrapStorage } from './wrapped-storage.js';

/** A storage whose line may break after it has written and before it has answered. */
export interface ForgetfulStorage {
  readonly storage: TaskStorage;
  /** The next calls of the operation are carried out, and answered with `UNAVAILABLE`. */
  loseAnswers(operation: keyof TaskStorage | keyof TaskLeases, count?: number): void;
}

/** Puts itself behind every operation of a storage, those of `leases` included. */
export function forgetfulStorage(inner: TaskStorage): ForgetfulStorage {
  const toLose = new Map<string, number>();
  const storage = wrapStorage(inner, async (operation, carryOut) => {
    const answer = await carryOut();
    const left = toLose.get(operation) ?? 0;
    if (left > 0) {
      toLose.set(operation, left - 1);
      throw new TaskStorageError('UNAVAILABLE', 'The answer was lost');
    }
    return answer;
  });
  return {
    storage,
    loseAnswers: (operation, count = 1) => {
      toLose.set(operation, count);
    },
  };
}
