import type { INestMicroservice } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { AgentModule } from '../../src/agent/agent.module.js';
import type { AgentModuleOptions } from '../../src/agent/agent-options.js';
import { AGENT_CLOCK } from '../../src/agent/agent-options.js';
import type { AgentRunner } from '../../src/agent/agent-runner.js';
import { createAgentGrpcOptions } from '../../src/agent/grpc/agent-grpc-options.js';
import type { GrpcLimitOptions } from '../../src/agent/limits/grpc-limits.js';
import { systemClock, type Clock } from '../../src/task/clock.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { ServiceClient } from './agent-clients.js';
import { findFreePort } from './embedded-postgres.js';
import { globalStorage } from './global-storage.js';
import { RecordingLogger } from './recording-logger.js';

/** A service that listens on a port of its own, and clients of it. */
export interface AgentService {
  readonly app: INestMicroservice;
  readonly address: string;
  readonly agent: ServiceClient;
  readonly tasks: ServiceClient;
  readonly logger: RecordingLogger;
  /** Stops as Nest does when the process gets a signal: the hooks first, then the port. */
  stop(): Promise<void>;
  /** Closes the port first, as `app.close()` of a microservice does, and then calls the hooks. */
  close(): Promise<void>;
}

/** Starts the service as an application does. */
export async function startAgentService(
  storage: TaskStorage,
  runner: AgentRunner | null,
  options: AgentModuleOptions & { clock?: Clock; grpcLimits?: GrpcLimitOptions } = {},
): Promise<AgentService> {
  const { clock = systemClock, grpcLimits, ...moduleOptions } = options;
  const address = `127.0.0.1:${await findFreePort()}`;
  const logger = new RecordingLogger();
  const module = await Test.createTestingModule({
    imports: [
      globalStorage(storage),
      AgentModule.forRoot({
        shutdownGraceMs: 0,
        ...moduleOptions,
        runner: { useFactory: () => runner },
      }),
    ],
  })
    .overrideProvider(AGENT_CLOCK)
    .useValue(clock)
    .setLogger(logger)
    .compile();
  const app = module.createNestMicroservice(
    createAgentGrpcOptions({ url: address, limits: grpcLimits }),
  );
  await app.listen();
  const agent = new ServiceClient('lybic.agent.Agent', address);
  const tasks = new ServiceClient('nestjs_task_storage.v1.TaskService', address);
  return {
    app,
    address,
    agent,
    tasks,
    logger,
    stop: async () => {
      const shutdown = Reflect.get(app, 'shutdown') as (signal: string) => Promise<void>;
      await shutdown.call(app, 'SIGTERM');
    },
    close: async () => {
      agent.close();
      tasks.close();
      await app.close();
    },
  };
}
