import type { TaskStorage } from '../../src/task/task-storage.js';

/** Carries an operation out, or does something else in its place. */
export type Around = (operation: string, carryOut: () => unknown) => unknown;

/** Puts something around every operation of a storage, those of `leases` and of tenants included. */
export function wrapStorage(inner: TaskStorage, around: Around): TaskStorage {
  const wrap = <T extends object>(wrapped: T): T =>
    new Proxy(wrapped, {
      get: (target, key) => {
        if (key === 'forTenant') {
          return (tenantId: string) => wrap(inner.forTenant(tenantId));
        }
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') {
          return key === 'leases' ? wrap(inner.leases) : value;
        }
        return async (...parameters: unknown[]) =>
          around(String(key), () => value.apply(target, parameters));
      },
    });
  return wrap(inner);
}
