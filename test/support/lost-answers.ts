import { TaskStorageError } from '../../src/task/errors.js';
import type { TaskLeases } from '../../src/task/task-lease.js';
import type { TaskStorage } from '../../src/task/task-storage.js';

/** A storage whose line may break after it has written and before it has answered. */
export interface ForgetfulStorage {
  readonly storage: TaskStorage;
  /** The next calls of the operation are carried out, and answered with `UNAVAILABLE`. */
  loseAnswers(operation: keyof TaskStorage | keyof TaskLeases, count?: number): void;
}

/** Puts itself behind every operation of a storage, those of `leases` included. */
export function forgetfulStorage(inner: TaskStorage): ForgetfulStorage {
  const toLose = new Map<string, number>();
  const wrap = <T extends object>(wrapped: T): T =>
    new Proxy(wrapped, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') {
          return key === 'leases' ? wrap(inner.leases) : value;
        }
        return async (...parameters: unknown[]) => {
          const answer: unknown = await value.apply(target, parameters);
          const left = toLose.get(String(key)) ?? 0;
          if (left > 0) {
            toLose.set(String(key), left - 1);
            throw new TaskStorageError('UNAVAILABLE', 'The answer was lost');
          }
          return answer;
        };
      },
    });
  return {
    storage: wrap(inner),
    loseAnswers: (operation, count = 1) => {
      toLose.set(operation, count);
    },
  };
}
