import type { TaskStorage } from '../../src/task/task-storage.js';

/** Runs before an operation, those of `leases` included; a rejection takes its place. */
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
  const wrap = <T extends object>(wrapped: T): T =>
    new Proxy(wrapped, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') {
          return key === 'leases' ? wrap(inner.leases) : value;
        }
        return async (...parameters: unknown[]) => {
          await current?.(String(key));
          return value.apply(target, parameters);
        };
      },
    });
  return {
    storage: wrap(inner),
    intercept: (interceptor) => {
      current = interceptor;
    },
  };
}
