import {
  IllegalTransitionError,
  TaskConflictError,
  TaskLimitReachedError,
  TaskStorageError,
} from '../../task/errors.js';
import { refusalOfWriter } from '../../task/write-guards.js';
import { allowedStatuses, type GuardedChange } from './guarded-change.js';
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
    // Who was admitted and not created came after one who creates without a limit.
    if (row['taken'] === true || row['admitted'] === true) {
      return false;
    }
    const { maxActiveTasks, maxActiveTasksPerTenant } = limits;
    const active = readNumber(row, 'active') + this.#admitted;
    return maxActiveTasks !== null && (active >= maxActiveTasks || maxActiveTasksPerTenant === null)
      ? limitReached(maxActiveTasks, active, 'tasks')
      : limitReached(
          maxActiveTasksPerTenant ?? 0,
          readNumber(row, 'tenant_active') + ofTenant,
          'tasks of the tenant',
        );
  }
}

/** One who was admitted before may have found its id taken, so that one less is active by now. */
function limitReached(maximum: number, active: number, subject: string): TaskLimitReachedError {
  return new TaskLimitReachedError(
    maximum,
    `${Math.max(active, maximum)} ${subject} are active; at most ${maximum} may be`,
  );
}

/** @returns what about the task, as the statement met it, forbids the change */
export function refusalOfChange(change: GuardedChange, answer: SqlRow): TaskStorageError {
  const { taskId, expectedVersion } = change;
  // The error of a row that cannot be read names its task.
  const row = { ...answer, task_id: taskId };
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
