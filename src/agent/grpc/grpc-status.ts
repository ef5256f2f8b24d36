import { Metadata, status } from '@grpc/grpc-js';
import { HttpException, HttpStatus } from '@nestjs/common';
import { RpcException } from '@nestjs/microservices';
import { z } from 'zod';
import {
  InvalidTaskError,
  OutcomeUnknownError,
  TaskStorageError,
  UnreadableTaskError,
  type TaskStorageErrorCode,
} from '../../task/errors.js';
import {
  AgentError,
  InvalidRequestError,
  RateLimitedError,
  type AgentErrorCode,
} from '../agent-errors.js';

/** The reason of a failed write of which nobody knows whether it was made. */
const OUTCOME_UNKNOWN = 'OUTCOME_UNKNOWN';

/** How a failed call is answered. */
export interface CallFailure {
  readonly code: status;
  /** For the caller: no internals. */
  readonly message: string;
  /** Why, for programs: a code of the package; `null` when the application itself refused. */
  readonly reason: TaskStorageErrorCode | AgentErrorCode | typeof OUTCOME_UNKNOWN | null;
  /** The field of the request that is wrong. */
  readonly field?: string;
  /** When trying again may help, in ms from now. */
  readonly retryAfterMs?: number;
  /** The trailers that the application itself wants. */
  readonly metadata?: Metadata;
  /** Whether the operator must hear of it, because the caller is told nothing. */
  readonly isInternal: boolean;
}

const INTERNAL_MESSAGE = 'Internal error';

const AGENT_STATUSES: Readonly<Record<AgentErrorCode, status>> = {
  INVALID: status.INVALID_ARGUMENT,
  TASK_NOT_FOUND: status.NOT_FOUND,
  TASK_NOT_ENDED: status.FAILED_PRECONDITION,
  NO_RUNNER: status.FAILED_PRECONDITION,
  CONFIG_READ_ONLY: status.PERMISSION_DENIED,
  REPLICA_FULL: status.RESOURCE_EXHAUSTED,
  TOO_MANY_STREAMS: status.RESOURCE_EXHAUSTED,
  IDEMPOTENCY_KEY_REUSED: status.ALREADY_EXISTS,
  SECRETS_NOT_STORABLE: status.FAILED_PRECONDITION,
  STOPPING: status.UNAVAILABLE,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  RATE_LIMITED: status.RESOURCE_EXHAUSTED,
};

const STORAGE_STATUSES: Readonly<Record<TaskStorageErrorCode, status>> = {
  INVALID: status.INVALID_ARGUMENT,
  CONFLICT: status.ABORTED,
  ILLEGAL_TRANSITION: status.FAILED_PRECONDITION,
  LIMIT_REACHED: status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: status.UNAVAILABLE,
  MISCONFIGURED: status.INTERNAL,
  CORRUPT: status.DATA_LOSS,
  INTERNAL: status.INTERNAL,
};

/** What the caller hears of failures whose own message speaks to the operator. */
const STORAGE_MESSAGES: Readonly<Partial<Record<TaskStorageErrorCode, string>>> = {
  UNAVAILABLE: 'The task storage is unavailable; try again',
  MISCONFIGURED: INTERNAL_MESSAGE,
  CORRUPT: 'What is stored cannot be read',
  INTERNAL: INTERNAL_MESSAGE,
};

const OUTCOME_UNKNOWN_MESSAGE =
  'The task storage did not say whether the change was made; ask for the task, or try again with the same idempotency-key';

/** What guards and pipes of an application say with `new RpcException({ code, message })`. */
const applicationFailure = z.object({
  code: z.enum(status),
  message: z.string(),
  metadata: z.instanceof(Metadata).optional().catch(undefined),
});

/** What Nest itself throws, without a code, when a guard answers `false`. */
const FORBIDDEN_MESSAGE = 'Forbidden resource';

/** What guards and pipes say that serve HTTP too. Others speak of a failure of the application. */
const HTTP_STATUSES: ReadonlyMap<number, status> = new Map([
  [HttpStatus.BAD_REQUEST, status.INVALID_ARGUMENT],
  [HttpStatus.UNAUTHORIZED, status.UNAUTHENTICATED],
  [HttpStatus.FORBIDDEN, status.PERMISSION_DENIED],
  [HttpStatus.NOT_FOUND, status.NOT_FOUND],
]);

/** Pipes put one sentence for each field into the body. */
const httpBody = z.object({ message: z.array(z.string()) });

/** The one table from errors to gRPC statuses. */
export function toCallFailure(error: unknown): CallFailure {
  if (error instanceof AgentError) {
    return {
      code: AGENT_STATUSES[error.code],
      message: error.message,
      reason: error.code,
      ...(error instanceof InvalidRequestError && { field: error.field }),
      ...(error instanceof RateLimitedError && { retryAfterMs: error.retryAfterMs }),
      isInternal: false,
    };
  }
  if (error instanceof UnreadableTaskError) {
    return {
      code: STORAGE_STATUSES.CORRUPT,
      message: `${error.message}; an operator must mend or delete it`,
      reason: error.code,
      isInternal: true,
    };
  }
  if (error instanceof OutcomeUnknownError) {
    return {
      code: status.UNAVAILABLE,
      message: OUTCOME_UNKNOWN_MESSAGE,
      reason: OUTCOME_UNKNOWN,
      isInternal: true,
    };
  }
  if (error instanceof TaskStorageError) {
    const message = STORAGE_MESSAGES[error.code];
    return {
      code: STORAGE_STATUSES[error.code],
      message: message ?? error.message,
      reason: error.code,
      ...(error instanceof InvalidTaskError && { field: error.field }),
      isInternal: message !== undefined,
    };
  }
  return toApplicationFailure(error) ?? UNEXPECTED;
}

const UNEXPECTED: CallFailure = {
  code: status.INTERNAL,
  message: INTERNAL_MESSAGE,
  reason: 'INTERNAL',
  isInternal: true,
};

/** @returns `null` when no guard or pipe of an application has said so */
function toApplicationFailure(error: unknown): CallFailure | null {
  if (error instanceof RpcException) {
    const { data } = applicationFailure.safeParse(error.getError());
    const codeWithout =
      error.message === FORBIDDEN_MESSAGE ? status.PERMISSION_DENIED : status.UNKNOWN;
    return {
      code: data?.code ?? codeWithout,
      message: error.message,
      reason: null,
      ...(data?.metadata !== undefined && { metadata: data.metadata }),
      isInternal: false,
    };
  }
  const code = error instanceof HttpException ? HTTP_STATUSES.get(error.getStatus()) : undefined;
  if (!(error instanceof HttpException) || code === undefined) {
    return null;
  }
  const { data } = httpBody.safeParse(error.getResponse());
  const message = data === undefined ? error.message : data.message.join('; ');
  return { code, message, reason: null, isInternal: false };
}
