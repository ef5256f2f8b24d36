import { EventEmitter } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { NEVER, of, throwError } from 'rxjs';
import { UnaryGrpcServer } from '../../src/agent/grpc/unary-grpc-server.js';

type Given = readonly [error: unknown, answer?: unknown];

/** What is read of a call of grpc-js. */
class Call extends EventEmitter {
  readonly request = { taskId: 'task' };
  readonly metadata = new Metadata();
}

describe('UnaryGrpcServer', () => {
  let server: UnaryGrpcServer;
  let given: Given[];
  let answered: () => void;

  beforeEach(() => {
    server = new UnaryGrpcServer({ package: [], protoPath: [] });
    given = [];
    answered = () => undefined;
  });

  async function answerOf(handler: (...given: unknown[]) => unknown, call = new Call()) {
    const method = server.createUnaryServiceMethod(handler);
    await new Promise<void>((resolve) => {
      answered = resolve;
      Reflect.apply(method, server, [
        call,
        (...answer: Given) => {
          given.push(answer);
          answered();
        },
      ]);
    });
    return given;
  }

  it('hands over the very answer of a handler', async () => {
    const answer = { taskId: 'task' };
    const [first, ...others] = await answerOf(async () => answer);
    expect(first?.[0]).toBeNull();
    expect(first?.[1]).toBe(answer);
    expect(others).toEqual([]);
  });

  it('hands the handler the request, its metadata and the call itself', async () => {
    const call = new Call();
    let received: unknown[] = [];
    await answerOf(async (...all) => {
      received = all;
      return {};
    }, call);
    expect(received[0]).toBe(call.request);
    expect(received[1]).toBe(call.metadata);
    expect(received[2]).toBe(call);
  });

  it.each([
    ['a value', of('answer')],
    ['the promise of a value', of(Promise.resolve('answer'))],
  ])('hands over what an Observable emits that emits %s', async (_what, answer) => {
    expect(await answerOf(async () => answer)).toEqual([[null, 'answer']]);
  });

  it('hands over the error of a promise that an Observable emits', async () => {
    const failure = new Error('refused');
    expect(await answerOf(async () => of(Promise.reject(failure)))).toEqual([[failure]]);
  });

  it('hands over the error of an Observable as it is', async () => {
    const failure = { code: status.NOT_FOUND, details: 'none', metadata: new Metadata() };
    const [first] = await answerOf(async () => throwError(() => failure));
    expect(first?.[0]).toBe(failure);
  });

  it('answers a handler that rejects, or throws at once, with its error', async () => {
    const failure = Object.assign(new Error('refused'), { code: status.ABORTED });
    const rejecting = await answerOf(async () => Promise.reject(failure));
    const throwing = await answerOf(() => {
      throw failure;
    });
    expect(rejecting[0]?.[0]).toBe(failure);
    expect(throwing).toEqual([[failure], [failure]]);
  });

  it.each(['text', undefined, null, 7])(
    'answers the error %p, which says nothing, as unknown',
    async (failure) => {
      const unknown = { code: status.UNKNOWN, details: 'Unknown Error' };
      expect(await answerOf(async () => throwError(() => failure))).toEqual([[unknown]]);
    },
  );

  it('answers others while a handler takes its time', async () => {
    const answers: unknown[] = [];
    const method = server.createUnaryServiceMethod(async () => NEVER);
    Reflect.apply(method, server, [new Call(), (...answer: Given) => answers.push(answer)]);
    expect(await answerOf(async () => 'answer')).toEqual([[null, 'answer']]);
    expect(answers).toEqual([]);
  });

  it('tells whoever wants to know of the beginning and the end of a call', async () => {
    const told: string[] = [];
    const ended = new Promise<void>((resolve) => {
      server.setOnProcessingEndHook((_transport, context) => {
        told.push(`end of ${JSON.stringify(context)}`);
        resolve();
      });
    });
    server.setOnProcessingStartHook((_transport, context, done) => {
      told.push(`start of ${String(Reflect.get(Object(context), 'operationId'))}`);
      void done();
    });
    const handler = Object.defineProperty(async () => 'answer', 'name', { value: 'GetTask' });
    expect(await answerOf(handler)).toEqual([[null, 'answer']]);
    await ended;
    expect(told).toEqual(['start of GetTask', 'end of {"taskId":"task"}']);
  });
});
