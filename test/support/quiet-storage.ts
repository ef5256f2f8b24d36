import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { eventually } from './eventually.js';

/** A storage that tells when nobody waits for it. */
export interface QuietStorage {
  readonly storage: TaskStorage;
  /** Resolves when no operation is under way, and none follows from the one before. */
  quiet(): Promise<void>;
}

/** Counts the operations of a storage that are under way, those of `leases` included. */
export function quietStorage(inner: TaskStorage): QuietStorage {
  let pending = 0;
  const count = async (operation: () => unknown): Promise<unknown> => {
    pending += 1;
    try {
      return await operation();
    } finally {
      pending -= 1;
    }
  };
  const wrap = <T extends object>(wrapped: T): T =>
    new Proxy(wrapped, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') {
          return key === 'leases' ? wrap(inner.leases) : value;
        }
        return async (...parameters: unknown[]) => count(() => value.apply(target, parameters));
      },
    });
  return {
    storage: wrap(inner),
    quiet: async () => {
      await nextTurn();
      await eventually(
        async () => {
          await nextTurn();
          return pending;
        },
        (left) => left === 0,
      );
    },
  };
}
