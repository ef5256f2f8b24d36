import { status } from '@grpc/grpc-js';
import { RpcException } from '@nestjs/microservices';
import { describe, expect, it } from '@jest/globals';
import { AgentError, InvalidRequestError } from '../../src/agent/agent-errors.js';
import { GrpcExceptionFilter } from '../../src/agent/grpc/grpc-exception.filter.js';
import { toCallFailure } from '../../src/agent/grpc/grpc-status.js';
import {
  IllegalTransitionError,
  InvalidTaskError,
  TaskConflictError,
  TaskLimitReachedError,
} from '../../src/task/errors.js';

describe('The statuses of failed calls', () => {
  it.each([
    [new InvalidTaskError('query', 'is wrong'), status.INVALID_ARGUMENT, 'query is wrong'],
    [new TaskConflictError('Task 1', 1, 2), status.ABORTED, 'Task 1 is at version 2, not 1'],
    [
      new IllegalTransitionError('1', 'finished', 'running'),
      status.FAILED_PRECONDITION,
      'Task 1 is finished; it cannot become running',
    ],
    [new TaskLimitReachedError(5, 'Full'), status.RESOURCE_EXHAUSTED, 'Full'],
    [new InvalidRequestError('steps', 'is wrong'), status.INVALID_ARGUMENT, 'steps is wrong'],
    [new AgentError('CONFIG_READ_ONLY', 'No'), status.PERMISSION_DENIED, 'No'],
  ])('tell %p to the caller', (error, code, message) => {
    expect(toCallFailure(error)).toMatchObject({ code, message, isInternal: false });
  });

  it('tell nothing of an unexpected error', () => {
    for (const error of [new TypeError('x is not a function'), 'text', undefined]) {
      expect(toCallFailure(error)).toEqual({
        code: status.INTERNAL,
        message: 'Internal error',
        reason: 'INTERNAL',
        isInternal: true,
      });
    }
  });

  it('are those of the application where its guards refuse', () => {
    const refusal = new RpcException({ code: status.UNAUTHENTICATED, message: 'Who are you?' });
    expect(toCallFailure(refusal)).toMatchObject({
      code: status.UNAUTHENTICATED,
      message: 'Who are you?',
      reason: null,
    });
    expect(toCallFailure(new RpcException('Forbidden resource'))).toMatchObject({
      code: status.UNKNOWN,
      message: 'Forbidden resource',
    });
  });

  it('have messages that fit into a header', async () => {
    const filter = new GrpcExceptionFilter();
    const error = new AgentError('TASK_NOT_FOUND', `${'x'.repeat(999)}😀${'y'.repeat(10_000)}`);
    const failure = await new Promise<{ details: string }>((resolve) => {
      filter.catch(error).subscribe({ error: resolve });
    });
    expect(failure.details).toHaveLength(1_000);
    expect(() => encodeURI(failure.details)).not.toThrow();
  });
});
