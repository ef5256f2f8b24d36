import type { TaskStorage } from '../../src/task/task-storage.js';
import { wrapStorage } from './wrapped-storage.js';

/** Runs before an operation, those of `leases` and of tenants included; a rejection takes its place. */
export type Interceptor = (operation: string) => Promise<void>;

/** A storage that a test can make fail or wait. */
export interface InterceptedStorage {
  readonly storage: TaskStorage;
  /** From now on the interceptor runs before each operation; `null` ends that. */
  intercept(interceptor: Interceptor | null): void;
}

/** Puts itself before every operation of a storage. */
export function interceptStorage(inner: TaskStorage): InterceptedStorage {
  let current: Interceptor | null = null;
  const storage = wrapStorage(inner, async (operation, carryOut) => {
    await current?.(operation);
    return carryOut();
  });
  return {
    storage,
    intercept: (interceptor) => {
      current = interceptor;
    },
  };
}
