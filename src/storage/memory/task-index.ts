import { waitsInQueue } from '../../task/task-lifecycle.js';
import type { TaskStatus } from '../../task/task.js';
import { SortedSet } from './sorted-set.js';
import type { EndedTask, TaskRecord } from './task-record.js';

/** The place of a task in a list. */
export type TaskKey = Pick<TaskRecord, 'createdAtMs' | 'taskId'>;

type EndKey = Pick<EndedTask, 'endedAtMs' | 'order'>;
type TaskSet = SortedSet<TaskKey, TaskRecord>;

/**
 * Compares well-formed texts by code point, as Postgres does under the collation "C". JavaScript's
 * own order goes by UTF-16 unit, which puts U+1F98A (two surrogates) before U+FB00.
 */
export function compareCodePoints(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) {
      return Number(isSurrogate(a)) - Number(isSurrogate(b)) || a - b;
    }
  }
  return left.length - right.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

function compareByCreation(left: TaskKey, right: TaskKey): number {
  return left.createdAtMs - right.createdAtMs || compareCodePoints(left.taskId, right.taskId);
}

function compareByQueue(left: TaskRecord, right: TaskRecord): number {
  return (
    timeOf(left.task.queuedAt) - timeOf(right.task.queuedAt) ||
    compareCodePoints(left.taskId, right.taskId)
  );
}

function compareByLease(left: TaskRecord, right: TaskRecord): number {
  return (
    timeOf(left.task.leaseExpiresAt) - timeOf(right.task.leaseExpiresAt) ||
    compareCodePoints(left.taskId, right.taskId)
  );
}

/** Whatever is compared by a time has it. */
function timeOf(date: Date | null): number {
  return date?.getTime() ?? 0;
}

function compareByEnd(left: EndKey, right: EndKey): number {
  return left.endedAtMs - right.endedAtMs || left.order - right.order;
}

/**
 * The tasks of one tenant, or of all, in the orders that they are asked for: a list, a count, a
 * cleanup and a claim touch only the tasks that they answer, or that they have to pass over.
 */
export class TaskIndex {
  readonly #all: TaskSet = new SortedSet(compareByCreation);
  readonly #byStatus: Readonly<Record<TaskStatus, TaskSet>> = {
    pending: new SortedSet(compareByCreation),
    running: new SortedSet(compareByCreation),
    finished: new SortedSet(compareByCreation),
    error: new SortedSet(compareByCreation),
    cancelled: new SortedSet(compareByCreation),
  };
  /** The tasks that wait to be claimed, the one first that was queued first. */
  readonly queued = new SortedSet<TaskRecord, TaskRecord>(compareByQueue);
  /** The active tasks that somebody holds, the one first whose lease ends first. */
  readonly leased = new SortedSet<TaskRecord, TaskRecord>(compareByLease);
  #pendingHeldCount = 0;
  /** The ends of ended tasks, the first one first. */
  readonly ended = new SortedSet<EndKey, EndedTask>(compareByEnd);

  get size(): number {
    return this.#all.size;
  }

  get activeCount(): number {
    return this.#byStatus.pending.size + this.#byStatus.running.size;
  }

  /** How many tasks are running, or pending and held by somebody. */
  get heldCount(): number {
    return this.#byStatus.running.size + this.#pendingHeldCount;
  }

  /** @param status `null` for tasks of every status */
  withStatus(status: TaskStatus | null): TaskSet {
    return status === null ? this.#all : this.#byStatus[status];
  }

  add(record: TaskRecord): void {
    this.#all.add(record);
    this.enter(record);
  }

  delete(record: TaskRecord): void {
    this.#all.delete(record);
    this.leave(record);
  }

  /** To be called after the record's status, queue or lease has changed, {@link leave} before. */
  enter(record: TaskRecord): void {
    this.#byStatus[record.task.status].add(record);
    this.#claimsOf(record)?.add(record);
    this.#pendingHeldCount += isPendingAndHeld(record) ? 1 : 0;
    if (record.ended !== null) {
      this.ended.add(record.ended);
    }
  }

  leave(record: TaskRecord): void {
    this.#byStatus[record.task.status].delete(record);
    this.#claimsOf(record)?.delete(record);
    this.#pendingHeldCount -= isPendingAndHeld(record) ? 1 : 0;
    if (record.ended !== null) {
      this.ended.delete(record.ended);
    }
  }

  /** A task is either held, or waits to be claimed, or neither; an ended one is neither. */
  #claimsOf({ task }: TaskRecord): SortedSet<TaskRecord, TaskRecord> | null {
    if (task.leaseOwner !== null) {
      return this.leased;
    }
    return waitsInQueue(task) ? this.queued : null;
  }
}

function isPendingAndHeld({ task }: TaskRecord): boolean {
  return task.status === 'pending' && task.leaseOwner !== null;
}
