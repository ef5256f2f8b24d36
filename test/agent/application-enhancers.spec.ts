import { Metadata, status } from '@grpc/grpc-js';
import {
  Catch,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type INestMicroservice,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { RpcException } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from '@jest/globals';
import { map, type Observable } from 'rxjs';
import {
  AgentModule,
  createAgentGrpcOptions,
  type GrpcServerOptions,
} from '../../src/agent/index.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { ServiceClient, statusOf } from '../support/agent-clients.js';
import { findFreePort } from '../support/embedded-postgres.js';
import { eventually } from '../support/eventually.js';
import { createGate } from '../support/gate.js';
import { globalStorage } from '../support/global-storage.js';
import { RecordingLogger } from '../support/recording-logger.js';

describe('A unary call of an application that has', () => {
  const endings: (() => Promise<void> | void)[] = [];

  afterEach(async () => {
    for (const end of endings.splice(0).toReversed()) {
      await end();
    }
  });

  async function start(
    enhance: (app: INestMicroservice) => unknown,
    server?: GrpcServerOptions,
  ): Promise<ServiceClient> {
    const storage = createMemoryTaskStorage();
    await storage.createTask({ taskId: 'task', query: 'q', maxSteps: 1 });
    const url = `127.0.0.1:${await findFreePort()}`;
    const module = await Test.createTestingModule({
      imports: [globalStorage(storage), AgentModule.forRoot()],
    })
      .setLogger(new RecordingLogger())
      .compile();
    const app = module.createNestMicroservice(createAgentGrpcOptions({ url, server }));
    enhance(app);
    await app.listen();
    const client = new ServiceClient('nestjs_task_storage.v1.TaskService', url);
    endings.push(
      async () => app.close(),
      () => client.close(),
    );
    return client;
  }

  const request = { task_id: 'task' };

  it('a guard is refused by it, with its status and its metadata', async () => {
    const guard: CanActivate = {
      canActivate: (context) => {
        const [, metadata] = context.getArgs<[unknown, Metadata]>();
        if (metadata.get('authorization')[0] === 'Bearer right') {
          return true;
        }
        const trailers = new Metadata();
        trailers.set('reason', 'no key');
        const refusal = { code: status.UNAUTHENTICATED, message: 'Who are you?' };
        throw new RpcException({ ...refusal, metadata: trailers });
      },
    };
    const client = await start((app) => app.useGlobalGuards(guard));
    const refused = await statusOf(client.call('GetTask', request));
    expect([refused.code, refused.details]).toEqual([status.UNAUTHENTICATED, 'Who are you?']);
    expect(refused.metadata.get('reason')).toEqual(['no key']);
    const answer = await client.call('GetTask', request, { authorization: 'Bearer right' });
    expect(answer.task_id).toBe('task');
  });

  it('an interceptor is answered what that makes of the answer', async () => {
    const interceptor: NestInterceptor<object> = {
      intercept: (_context, next: CallHandler<object>): Observable<object> =>
        next.handle().pipe(map((answer) => ({ ...answer, query: 'intercepted' }))),
    };
    const client = await start((app) => app.useGlobalInterceptors(interceptor));
    const answer = await client.call('GetTask', request);
    expect(answer).toMatchObject({ task_id: 'task', query: 'intercepted' });
    const missing = await statusOf(client.call('GetTask', { task_id: 'missing' }));
    expect(missing.code).toBe(status.NOT_FOUND);
  });

  it('a pipe is read through it', async () => {
    const pipe: PipeTransform = {
      transform: (value: object) => ('task_id' in value ? { task_id: 'missing' } : value),
    };
    const client = await start((app) => app.useGlobalPipes(pipe));
    const missing = await statusOf(client.call('GetTask', request));
    expect([missing.code, missing.details]).toEqual([
      status.NOT_FOUND,
      'Task with ID missing not found.',
    ]);
  });

  it('a filter of its own is answered by that of the service, which is nearer', async () => {
    @Catch()
    class OtherFilter implements ExceptionFilter {
      catch(): never {
        throw new Error('Never called');
      }
    }
    const guard: CanActivate = { canActivate: () => false };
    const client = await start((app) => {
      app.useGlobalGuards(guard);
      app.useGlobalFilters(new OtherFilter());
    });
    expect((await statusOf(client.call('GetTask', request))).code).toBe(status.PERMISSION_DENIED);
  });

  it('an interceptor shows that a client cancels, and until when it waits', async () => {
    const gate = createGate();
    const seen: { cancelled: boolean; getDeadline(): Date | number }[] = [];
    const interceptor: NestInterceptor = {
      intercept: async (context: ExecutionContext, next: CallHandler) => {
        seen.push(context.getArgByIndex(2));
        await gate.opened;
        return next.handle();
      },
    };
    const client = await start((app) => app.useGlobalInterceptors(interceptor));
    const deadline = Date.now() + 60_000;
    const begun = client.begin('GetTask', request, {}, { deadline });
    await eventually(
      () => seen.length,
      (length) => length === 1,
    );
    expect(Math.abs(Number(seen[0]?.getDeadline()) - deadline)).toBeLessThan(30_000);
    expect(seen[0]?.cancelled).toBe(false);
    begun.cancel();
    expect((await statusOf(begun.answer)).code).toBe(status.CANCELLED);
    await eventually(
      () => seen[0]?.cancelled,
      (cancelled) => cancelled === true,
    );
    gate.open();
    expect((await client.call('GetTask', request)).task_id).toBe('task');
  });

  it('a deadline that is over is not answered', async () => {
    const gate = createGate();
    const interceptor: NestInterceptor = {
      intercept: async (_context, next) => {
        await gate.opened;
        return next.handle();
      },
    };
    const client = await start((app) => app.useGlobalInterceptors(interceptor));
    const { answer } = client.begin('GetTask', request, {}, { deadline: Date.now() + 50 });
    expect((await statusOf(answer)).code).toBe(status.DEADLINE_EXCEEDED);
    gate.open();
    expect((await client.call('GetTask', request)).task_id).toBe('task');
  });

  it('limits of its own is held to them', async () => {
    const client = await start(() => undefined, { maxReceiveMessageLength: 100 });
    const refused = await statusOf(client.call('GetTask', { task_id: 'x'.repeat(101) }));
    expect(refused.code).toBe(status.RESOURCE_EXHAUSTED);
    expect((await client.call('GetTask', request)).task_id).toBe('task');
  });
});
