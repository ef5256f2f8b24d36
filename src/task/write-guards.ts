import { LeaseLostError, TaskConflictError, type TaskStorageError } from './errors.js';
import type { HeldLease } from './task-lease.js';
import type { Task } from './task.js';

/** What a writer says of the task that it writes to; `null` where it says nothing. */
export interface WriteGuards {
  readonly lease: HeldLease | null;
  readonly expectedSequence: number | null;
}

/** What the guards look at. */
export type GuardedTask = Pick<Task, 'taskId' | 'leaseOwner' | 'attempt' | 'lastEventSequence'>;

/** @returns why the task, as it is, refuses the writer; `null` when it does not */
export function refusalOfWriter(task: GuardedTask, guards: WriteGuards): TaskStorageError | null {
  const { taskId, leaseOwner, attempt, lastEventSequence } = task;
  const { lease, expectedSequence } = guards;
  if (lease !== null && (leaseOwner !== lease.owner || attempt !== lease.attempt)) {
    return new LeaseLostError(taskId, lease, leaseOwner, attempt);
  }
  return expectedSequence === null || expectedSequence === lastEventSequence
    ? null
    : new TaskConflictError(`The log of task ${taskId}`, expectedSequence, lastEventSequence);
}

/**
 * The last checks of a write.
 *
 * @throws {LeaseLostError} when the writer does not hold the lease (any more)
 * @throws {TaskConflictError} when the log is not where the writer left it
 */
export function assertWriter(task: GuardedTask, guards: WriteGuards): void {
  const refusal = refusalOfWriter(task, guards);
  if (refusal !== null) {
    throw refusal;
  }
}
