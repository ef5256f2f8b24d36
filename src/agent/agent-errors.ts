import { describeUnknown } from './task-messages.js';

/**
 * Why the service refuses a call, for programs. Stable: a code never changes its meaning.
 *
 * - `INVALID`: a field of the request is wrong; the message names it.
 * - `TASK_NOT_FOUND`: there is no such task.
 * - `TASK_NOT_ENDED`: the task must have ended first.
 * - `NO_RUNNER`: the service runs no tasks.
 * - `CONFIG_READ_ONLY`: the global configuration cannot be set by calls.
 * - `REPLICA_FULL`: this replica runs as many tasks as it may; another may have room.
 * - `TOO_MANY_STREAMS`: this replica answers as many streaming calls as it may; another may have room.
 * - `IDEMPOTENCY_KEY_REUSED`: the idempotency key belongs to a task with another request.
 * - `SECRETS_NOT_STORABLE`: the request would have to be stored with its secrets in clear.
 * - `STOPPING`: the service is being stopped; another replica may answer.
 * - `UNAUTHENTICATED`: the call carries no token that is known.
 * - `PERMISSION_DENIED`: the token is not good for this call.
 * - `RATE_LIMITED`: the token has made too many calls; the answer says when to try again.
 */
export type AgentErrorCode =
  | 'INVALID'
  | 'TASK_NOT_FOUND'
  | 'TASK_NOT_ENDED'
  | 'NO_RUNNER'
  | 'CONFIG_READ_ONLY'
  | 'REPLICA_FULL'
  | 'TOO_MANY_STREAMS'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'SECRETS_NOT_STORABLE'
  | 'STOPPING'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'RATE_LIMITED';

/** A call that the service refuses. The message is for its caller. */
export class AgentError extends Error {
  override readonly name: string = 'AgentError';

  constructor(
    readonly code: AgentErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** A field of a request is wrong. `field` is its path, such as `runningConfig.mode`. */
export class InvalidRequestError extends AgentError {
  override readonly name = 'InvalidRequestError';

  constructor(
    readonly field: string,
    problem: string,
  ) {
    super('INVALID', `${field} ${problem}`);
  }
}

/** There is no such task. */
export class TaskNotFoundError extends AgentError {
  override readonly name = 'TaskNotFoundError';

  constructor(readonly taskId: string) {
    super('TASK_NOT_FOUND', describeUnknown(taskId));
  }
}

/** The service is being stopped. */
export class ServiceStoppingError extends AgentError {
  override readonly name = 'ServiceStoppingError';

  constructor() {
    super('STOPPING', 'The service is being stopped; try again');
  }
}

/** The token of the call has made too many calls. */
export class RateLimitedError extends AgentError {
  override readonly name = 'RateLimitedError';

  /** @param retryAfterMs when the next call will be admitted, in ms from now */
  constructor(readonly retryAfterMs: number) {
    super('RATE_LIMITED', 'The token has made too many calls; try again later, as RetryInfo says');
  }
}
