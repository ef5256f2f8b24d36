import 'reflect-metadata';
import { inspect } from 'node:util';
import type { INestMicroservice } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions, CustomStrategy } from '@nestjs/microservices';
import {
  AGENT_RUNNER,
  agentEnvironment,
  type AgentEnvironment,
  type AgentRunner,
} from './agent/index.js';
import { AppModule } from './app.module.js';
import { ConfigurationError } from './config/configuration-error.js';
import { readEnvironment } from './config/environment.js';
import { addressOf, GRPC_PORT_OPTIONS } from './grpc-port.js';
import { ServiceLogger } from './service-logger.js';
import { limitShutdown } from './shutdown-limit.js';
import { TaskStorageError } from './task/errors.js';
import { TASK_STORAGE, type TaskStorage } from './task/task-storage.js';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

const NO_RUNNER = 'none; set AGENT_COMMAND to the program that runs the tasks';

async function create(logger: ServiceLogger): Promise<INestMicroservice> {
  return NestFactory.createMicroservice<AsyncMicroserviceOptions>(AppModule, {
    logger,
    abortOnError: false,
    inject: [GRPC_PORT_OPTIONS],
    useFactory: (options: CustomStrategy) => options,
  });
}

async function listen(app: INestMicroservice, environment: AgentEnvironment): Promise<void> {
  try {
    await app.listen();
  } catch (error) {
    if (error instanceof ConfigurationError || error instanceof TaskStorageError) {
      throw error;
    }
    throw new ConfigurationError(
      `GRPC_HOST is "${environment.GRPC_HOST}" and GRPC_PORT is ${environment.GRPC_PORT}, where the service cannot listen; write another port or address: ${String(error)}`,
      { cause: error },
    );
  }
}

async function start(logger: ServiceLogger): Promise<void> {
  const app = await create(logger);
  const environment = readEnvironment(agentEnvironment, app.get(ConfigService));
  logger.logFrom(environment.LOG_LEVEL);
  app.enableShutdownHooks([...SIGNALS], { useProcessExit: true });
  limitShutdown(SIGNALS, environment.SHUTDOWN_GRACE_MS, logger);
  await listen(app, environment);
  const storage = app.get<TaskStorage>(TASK_STORAGE);
  const runner = app.get<AgentRunner | null>(AGENT_RUNNER, { strict: false });
  logger.log(`Listening on ${addressOf(environment)} (gRPC)`, 'Service');
  logger.log(`Storage: ${storage.description}`, 'Service');
  logger.log(`Runner: ${runner?.description ?? NO_RUNNER}`, 'Service');
}

try {
  await start(new ServiceLogger());
} catch (error) {
  const isExpected = error instanceof ConfigurationError || error instanceof TaskStorageError;
  process.stderr.write(`${isExpected ? error.message : inspect(error)}\n`);
  process.exit(1);
}
