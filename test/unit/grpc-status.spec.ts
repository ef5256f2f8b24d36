import { Metadata, status } from '@grpc/grpc-js';
import {
  BadRequestException,
  ConflictException,
  ForbiddenException,
  NotFoundException,
  UnauthorizedException,
} from '@nestjs/common';
import { RpcException } from '@nestjs/microservices';
import { describe, expect, it } from '@jest/globals';
import { AgentError, InvalidRequestError } from '../../src/agent/agent-errors.js';
import { GrpcExceptionFilter } from '../../src/agent/grpc/grpc-exception.filter.js';
import { toCallFailure } from '../../src/agent/grpc/grpc-status.js';
import {
  IllegalTransitionError,
  InvalidTaskError,
  LeaseLostError,
  OutcomeUnknownError,
  TaskConflictError,
  TaskLimitReachedError,
  TaskStorageError,
} from '../../src/task/errors.js';

async function failureOf(failure: Error): Promise<{ details: string; metadata: Metadata }> {
  const answer = new GrpcExceptionFilter().catch(failure);
  return new Promise((resolve) => {
    answer.subscribe({ error: resolve });
  });
}

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
    [
      new LeaseLostError('1', { owner: 'a', attempt: 1 }, null, 2),
      status.ABORTED,
      'Task 1 is not held by a in attempt 1; it is in attempt 2, held by nobody',
    ],
    [new AgentError('CONFIG_READ_ONLY', 'No'), status.PERMISSION_DENIED, 'No'],
    [new AgentError('REPLICA_FULL', 'Full'), status.RESOURCE_EXHAUSTED, 'Full'],
    [new AgentError('IDEMPOTENCY_KEY_REUSED', 'Other'), status.ALREADY_EXISTS, 'Other'],
    [new AgentError('SECRETS_NOT_STORABLE', 'Keys'), status.FAILED_PRECONDITION, 'Keys'],
  ])('tell %p to the caller', (error, code, message) => {
    expect(toCallFailure(error)).toMatchObject({ code, message, isInternal: false });
  });

  it('tell an unknown outcome from a change that was not made', () => {
    expect(toCallFailure(new OutcomeUnknownError('lost'))).toMatchObject({
      code: status.UNAVAILABLE,
      reason: 'OUTCOME_UNKNOWN',
      message: expect.stringContaining('try again with the same idempotency-key'),
    });
    expect(toCallFailure(new TaskStorageError('UNAVAILABLE', 'gone'))).toMatchObject({
      code: status.UNAVAILABLE,
      reason: 'UNAVAILABLE',
    });
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
    expect(toCallFailure(new RpcException('No reason'))).toMatchObject({
      code: status.UNKNOWN,
      message: 'No reason',
    });
    // What Nest throws when a guard answers false.
    expect(toCallFailure(new RpcException('Forbidden resource'))).toMatchObject({
      code: status.PERMISSION_DENIED,
      message: 'Forbidden resource',
    });
  });

  it.each([
    [
      new BadRequestException(['a is wrong', 'b is wrong']),
      'INVALID_ARGUMENT',
      'a is wrong; b is wrong',
    ],
    [new UnauthorizedException('Who are you?'), 'UNAUTHENTICATED', 'Who are you?'],
    [new ForbiddenException(), 'PERMISSION_DENIED', 'Forbidden'],
    [new NotFoundException('No tenant'), 'NOT_FOUND', 'No tenant'],
  ] as const)('are those of guards that serve HTTP too, as in %p', (error, name, message) => {
    expect(toCallFailure(error)).toEqual({
      code: status[name],
      message,
      reason: null,
      isInternal: false,
    });
  });

  it('tell nothing of HTTP failures that no guard throws', () => {
    expect(toCallFailure(new ConflictException('secret'))).toMatchObject({
      code: status.INTERNAL,
      message: 'Internal error',
      isInternal: true,
    });
  });

  it('come with the trailers that the application wants', async () => {
    const metadata = new Metadata();
    metadata.set('retry-after', '7');
    const refusal = { code: status.RESOURCE_EXHAUSTED, message: 'Slower', metadata };
    const failure = await failureOf(new RpcException(refusal));
    expect(failure).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: 'Slower' });
    expect(failure.metadata.get('retry-after')).toEqual(['7']);
  });

  it('have messages that fit into a header', async () => {
    for (const text of ['x', '😀', '任务', '%', 'x\uD83D']) {
      const error = new AgentError('TASK_NOT_FOUND', `x${text.repeat(10_000)}`);
      const { details, metadata } = await failureOf(error);
      const encoded = encodeURI(details).length;
      expect(encoded).toBeGreaterThan(1_950);
      expect(encoded).toBeLessThanOrEqual(2_000);
      const [status_ = ''] = metadata.get('grpc-status-details-bin');
      expect(encoded + status_.length * (4 / 3)).toBeLessThan(8_000);
    }
  });
});
