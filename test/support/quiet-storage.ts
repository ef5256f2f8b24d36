import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { eventually } from './eventually.js';
import { wrapStorage } from './wrapped-storage.js';

/** A storage that tells when nobody waits for it. */
export interface QuietStorage {
  readonly storage: TaskStorage;
  /** Resolves when no operation is under way, and none follows from the one before. */
  quiet(): Promise<void>;
}

/** Counts the operations of a storage that are under way, those of `leases` included. */
export function quietStorage(inner: TaskStorage): QuietStorage {
  let pending = 0;
  const storage = wrapStorage(inner, async (_operation, carryOut) => {
    pending += 1;
    try {
      return await carryOut();
    } finally {
      pending -= 1;
    }
  });
  return {
    storage,
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
