import { status } from '@grpc/grpc-js';
import { RpcException } from '@nestjs/microservices';
import { z } from 'zod';
import {
  InvalidTaskError,
  TaskStorageError,
  type TaskStorageErrorCode,
} from '../../task/errors.js';
import { AgentError, InvalidRequestError, type AgentErrorCode } from '../agent-errors.js';

/** How a failed call is answered. */
export interface CallFailure {
  readonly code: status;
  /** For the caller: no internals. */
  readonly message: string;
  /** Why, for programs: a code of the package; `null` when the application itself refused. */
  readonly reason: TaskStorageErrorCode | AgentErrorCode | null;
  /** The field of the request that is wrong. */
  readonly field?: string;
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
  STOPPING: status.UNAVAILABLE,
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

/** What guards and pipes of an application say with `new RpcException({ code, message })`. */
const applicationFailure = z.object({ code: z.enum(status), message: z.string() });

/** The one table from errors to gRPC statuses. */
export function toCallFailure(error: unknown): CallFailure {
  if (error instanceof AgentError) {
    return {
      code: AGENT_STATUSES[error.code],
      message: error.message,
      reason: error.code,
      ...(error instanceof InvalidRequestError && { field: error.field }),
      isInternal: false,
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
  if (error instanceof RpcException) {
    const refusal = applicationFailure.safeParse(error.getError());
    return {
      code: refusal.success ? refusal.data.code : status.UNKNOWN,
      message: error.message,
      reason: null,
      isInternal: false,
    };
  }
  return { code: status.INTERNAL, message: INTERNAL_MESSAGE, reason: 'INTERNAL', isInternal: true };
}
