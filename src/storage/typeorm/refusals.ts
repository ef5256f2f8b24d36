import {
  IllegalTransitionError,
  TaskConflictError,
  TaskLimitReachedError,
  TaskStorageError,
} from '../../task/errors.js';
import { refusalOfWriter } from '../../task/write-guards.js';
import type { ActiveLimits } from './admission.js';
import type { SqlRow } from './postgres-connection.js';
import { nullable, readNumber, readStatus, readText } from './task-rows.js';
import { allowedStatuses, type GuardedChange } from './write-statements.js';

/* Why a statement wrote nothing, from what it answered. */

/** @returns which limit kept the task out, or `null` when its id is taken */
export function refusalOfCreation(
  row: SqlRow,
  { maxActiveTasks, maxActiveTasksPerTenant }: ActiveLimits,
): TaskLimitReachedError | null {
  if (row['taken'] === true) {
    return null;
  }
  if (maxActiveTasks !== null && readNumber(row, 'active') >= maxActiveTasks) {
    return new TaskLimitReachedError(
      maxActiveTasks,
      `${readNumber(row, 'active')} tasks are active; at most ${maxActiveTasks} may be`,
    );
  }
  if (
    maxActiveTasksPerTenant !== null &&
    readNumber(row, 'tenant_active') >= maxActiveTasksPerTenant
  ) {
    return new TaskLimitReachedError(
      maxActiveTasksPerTenant,
      `${readNumber(row, 'tenant_active')} tasks of the tenant are active; at most ${maxActiveTasksPerTenant} may be`,
    );
  }
  return null;
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
