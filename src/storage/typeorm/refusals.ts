import {
  IllegalTransitionError,
  TaskConflictError,
  TaskLimitReachedError,
  TaskStorageError,
} from '../../task/errors.js';
import { refusalOfWriter } from '../../task/write-guards.js';
import { hasLimit } from './admission.js';
import { allowedStatuses, type GuardedChange } from './change-statement.js';
import type { Creation } from './create-statement.js';
import type { SqlRow } from './postgres-connection.js';
import { nullable, readNumber, readStatus, readText } from './task-rows.js';

/* Why a statement wrote nothing, from what it answered. */

/** Says why tasks that were to be created together were not, in the order of their admission. */
export class CreationRefusals {
  #admitted = 0;
  readonly #admittedByTenant = new Map<string, number>();

  /** @returns whether the task was created, or which limit kept it out */
  judge({ task, ...limits }: Creation, row: SqlRow = {}): boolean | TaskLimitReachedError {
    const { tenantId } = task;
    const ofTenant = this.#admittedByTenant.get(tenantId) ?? 0;
    if (row['created'] === true) {
      this.#admitted += 1;
      this.#admittedByTenant.set(tenantId, ofTenant + 1);
      return true;
    }
    if (!hasLimit(limits) || row['taken'] === true) {
      return false;
    }
    const { maxActiveTasks, maxActiveTasksPerTenant } = limits;
    return (
      limitReached(maxActiveTasks, readNumber(row, 'active') + this.#admitted, 'tasks') ??
      limitReached(
        maxActiveTasksPerTenant,
        readNumber(row, 'tenant_active') + ofTenant,
        'tasks of the tenant',
      ) ??
      // The id was taken by one who creates without a limit, after it was looked for.
      false
    );
  }
}

function limitReached(
  maximum: number | null,
  active: number,
  subject: string,
): TaskLimitReachedError | null {
  return maximum !== null && active >= maximum
    ? new TaskLimitReachedError(
        maximum,
        `${active} ${subject} are active; at most ${maximum} may be`,
      )
    : null;
}

/** @returns what about the task, as the statement met it, forbids the change */
export function refusalOfChange(change: GuardedChange, row: SqlRow): TaskStorageError {
  const { taskId, expectedVersion } = change;
  const version = readNumber(row, 'version');
  if (expectedVersion !== null && version !== expectedVersion) {
    return new TaskConflictError(`Task ${taskId}`, expectedVersion, version);
  }
  const status = readStatus(row, 'status');
  if (allowedStatuses(change)?.includes(status) === false) {
    return new IllegalTransitionError(taskId, status, change.updates?.status ?? null);
  }
  const met = {
    taskId,
    leaseOwner: nullable(row, 'lease_owner', readText),
    attempt: readNumber(row, 'attempt'),
    lastEventSequence: readNumber(row, 'met_sequence'),
  };
  return (
    refusalOfWriter(met, change) ??
    new TaskStorageError('INTERNAL', `Task ${taskId} could not be changed, for no known cause`)
  );
}
