import type { TaskOperations, TaskStorage } from '../task/task-storage.js';
import { DEFAULT_TENANT_ID } from '../task/task.js';

/**
 * The tasks that a caller knows of. To it the tasks of others do not exist: it reaches none of them
 * by whatever call, and learns nothing of them.
 */
export interface TaskScope {
  /** `null`: all tenants. */
  readonly tenantId: string | null;
  /** The operations on these tasks. */
  readonly tasks: TaskOperations;
}

/** @param tenantId `null` for a caller that knows of the tasks of all tenants */
export function toTaskScope(storage: TaskStorage, tenantId: string | null): TaskScope {
  return { tenantId, tasks: tenantId === null ? storage : storage.forTenant(tenantId) };
}

/** Whose a task is that is created in the scope. */
export function newTaskTenantOf(scope: TaskScope): string {
  return scope.tenantId ?? DEFAULT_TENANT_ID;
}

/** Whether a task of the tenant is in the scope. */
export function isInScope(scope: TaskScope, tenantId: string): boolean {
  return scope.tenantId === null || scope.tenantId === tenantId;
}
