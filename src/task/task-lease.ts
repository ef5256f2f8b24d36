import type { Task } from './task.js';

/*
 * Who runs which task. A process may run a task only while it holds the task's lease, and the
 * storage refuses what it writes after somebody else has taken the lease over.
 */

/** Who asks for leases, and for how long. The storage's own clock decides when one is over. */
export interface LeaseTerm {
  /** The process, unique to each of its starts; 1 to 255 characters. */
  owner: string;
  /** Milliseconds from now until the lease ends unless it is renewed; 1 to 86400000. */
  leaseMs: number;
}

/**
 * A lease that a writer believes it holds. `attempt` is the fencing token: it grows with each claim
 * of the task, so that an owner that lost its lease and got it back is not mistaken for itself.
 */
export interface HeldLease {
  owner: string;
  attempt: number;
}

/** A task that was claimed, as it is after the claim. */
export interface ClaimedTask {
  readonly task: Task;
  /** Who held the expired lease; `null` for a task that nobody held. */
  readonly lostOwner: string | null;
}

/** What `claimQueued` takes. The limits hold over all processes, whatever races. */
export interface ClaimQueuedOptions extends LeaseTerm {
  /** How many tasks to claim at the most: 1 to 1000. */
  limit: number;
  /** So many tasks may be held or running at once, counting those to be claimed. Default: no limit. */
  maxHeldTasks?: number | undefined;
  /** The same for the tasks of each tenant. Default: no limit. */
  maxHeldTasksPerTenant?: number | undefined;
}

/** What `claimExpired` takes. */
export interface ClaimExpiredOptions extends LeaseTerm {
  /** How many tasks to claim at the most: 1 to 1000. */
  limit: number;
  /**
   * A task that can still be run, because it has attempts left or was queued and is still `pending`,
   * is claimed only when its lease ended so many milliseconds ago: 0 (the default) for a process
   * that can run it, more for one that can only end it.
   */
  resumableAfterMs?: number | undefined;
  /**
   * Claims `running` tasks without any lease too, when they were not updated for so many minutes,
   * 1 or more. The original service writes such tasks. Default: never.
   */
  staleRunningMinutes?: number | undefined;
}

/** What `renew` takes. */
export interface RenewLeasesOptions extends LeaseTerm {
  /** Only the leases of these tasks, at most 10000. Default: all of the owner. */
  taskIds?: readonly string[] | undefined;
}

/** The leases of a storage, over all tenants. */
export interface TaskLeases {
  /**
   * Claims queued tasks, the one first that was queued first. A tenant at its limit is passed over.
   * Counting and claiming are one atomic step. A task that cannot be read is not answered: it is
   * ended as `error`, because nobody can run it, and the others are claimed.
   */
  claimQueued(options: ClaimQueuedOptions): Promise<readonly ClaimedTask[]>;

  /**
   * Claims active tasks whose lease has ended, the one first whose lease ended first. Of several
   * processes that ask at once, each task goes to one. The status stays as it is: a claimed task may
   * be `running`. A task that cannot be read is ended as with `claimQueued`.
   */
  claimExpired(options: ClaimExpiredOptions): Promise<readonly ClaimedTask[]>;

  /**
   * Prolongs the leases of the owner on active tasks, in one step. A lease that has ended, and
   * that nobody has taken over, is prolonged too. Changes neither version nor `updatedAt`.
   *
   * @returns the ids of the tasks whose leases were prolonged, with their attempts
   */
  renew(options: RenewLeasesOptions): Promise<ReadonlyMap<string, number>>;
}
