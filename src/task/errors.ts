import type { TaskStatus } from './task.js';

/**
 * What went wrong, for programs. Stable: a code never changes its meaning.
 *
 * - `INVALID`: the caller's value cannot be stored; the message names the field.
 * - `CONFLICT`: somebody else changed the record first; read it again and decide anew.
 * - `ILLEGAL_TRANSITION`: the task's status does not allow it.
 * - `LIMIT_REACHED`: there is no room for another task.
 * - `UNAVAILABLE`: the backend did not answer, or refused for now; trying again may help.
 * - `MISCONFIGURED`: the backend needs its operator: wrong credentials, missing table or rights.
 * - `CORRUPT`: what is stored cannot be understood.
 * - `INTERNAL`: anything else; `cause` says what.
 */
export type TaskStorageErrorCode =
  | 'INVALID'
  | 'CONFLICT'
  | 'ILLEGAL_TRANSITION'
  | 'LIMIT_REACHED'
  | 'UNAVAILABLE'
  | 'MISCONFIGURED'
  | 'CORRUPT'
  | 'INTERNAL';

/** The base of every error that a task storage rejects with. `cause` is the driver's own error. */
export class TaskStorageError extends Error {
  override readonly name: string = 'TaskStorageError';

  constructor(
    readonly code: TaskStorageErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What is stored of a task cannot be understood: somebody else wrote it, or changed it by hand. */
export class UnreadableTaskError extends TaskStorageError {
  override readonly name = 'UnreadableTaskError';

  /**
   * @param reason where and what: the name of the column or field, and what it should hold, never what
   *   it does hold, which may be confidential
   */
  constructor(
    readonly taskId: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super('CORRUPT', `Task ${taskId} cannot be read: ${reason}`, options);
  }
}

/** A value that no backend stores. `field` is its path, such as `requestData.steps[2].text`. */
export class InvalidTaskError extends TaskStorageError {
  override readonly name = 'InvalidTaskError';

  constructor(
    readonly field: string,
    problem: string,
  ) {
    super('INVALID', `${field} ${problem}`);
  }
}

/**
 * The backend did not say whether a write was made: its connection broke after the write was sent. Every
 * other error of a write says that nothing was changed. Whoever gets this one reads what is stored, or
 * writes again in a way that writes once: the same task id, or an expected version or sequence.
 */
export class OutcomeUnknownError extends TaskStorageError {
  override readonly name = 'OutcomeUnknownError';

  constructor(message: string, options?: ErrorOptions) {
    super('UNAVAILABLE', message, options);
  }
}

/** The record is not at the version that the caller expected. */
export class TaskConflictError extends TaskStorageError {
  override readonly name = 'TaskConflictError';

  constructor(
    subject: string,
    readonly expectedVersion: number,
    readonly actualVersion: number,
  ) {
    super('CONFLICT', `${subject} is at version ${actualVersion}, not ${expectedVersion}`);
  }
}

/** The writer does not hold the lease that it wrote with: it ended, or somebody else took it over. */
export class LeaseLostError extends TaskStorageError {
  override readonly name = 'LeaseLostError';

  /** @param actualOwner who holds the task now; `null` when nobody does */
  constructor(
    readonly taskId: string,
    expected: { readonly owner: string; readonly attempt: number },
    readonly actualOwner: string | null,
    actualAttempt: number,
  ) {
    super(
      'CONFLICT',
      `Task ${taskId} is not held by ${expected.owner} in attempt ${expected.attempt}; ` +
        `it is in attempt ${actualAttempt}, held by ${actualOwner ?? 'nobody'}`,
    );
  }
}

/** The task's status does not allow the change: see `task-lifecycle.ts` for what follows what. */
export class IllegalTransitionError extends TaskStorageError {
  override readonly name = 'IllegalTransitionError';

  /** @param to the status asked for, or `null` when an event was to be added to an ended task */
  constructor(
    readonly taskId: string,
    readonly from: TaskStatus,
    readonly to: TaskStatus | null,
  ) {
    super(
      'ILLEGAL_TRANSITION',
      to === null
        ? `Task ${taskId} is ${from}; no event can follow its end`
        : `Task ${taskId} is ${from}; it cannot become ${to}`,
    );
  }
}

/** There is no room for another task. */
export class TaskLimitReachedError extends TaskStorageError {
  override readonly name = 'TaskLimitReachedError';

  constructor(
    readonly limit: number,
    message: string,
  ) {
    super('LIMIT_REACHED', message);
  }
}
