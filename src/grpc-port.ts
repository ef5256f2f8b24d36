import type { FactoryProvider } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import type { CustomStrategy } from '@nestjs/microservices';
import {
  agentEnvironment,
  createAgentGrpcOptions,
  readGrpcLimits,
  readPortSecurity,
  type AgentEnvironment,
} from './agent/index.js';
import { readEnvironment, type EnvironmentSource } from './config/environment.js';
import { GrpcHealthService } from './health/index.js';

/** The injection token of the options of the gRPC port. */
export const GRPC_PORT_OPTIONS = Symbol('GRPC_PORT_OPTIONS');

/** Where the service listens; an IPv6 address may be written with brackets and without. */
export function addressOf({
  GRPC_HOST,
  GRPC_PORT,
}: Pick<AgentEnvironment, 'GRPC_HOST' | 'GRPC_PORT'>): string {
  const host = GRPC_HOST.replace(/^\[(.*)\]$/, '$1');
  return `${host.includes(':') ? `[${host}]` : host}:${GRPC_PORT}`;
}

/** A provider, because Nest logs with a stack what fails in the options of a microservice itself. */
export const grpcPortProvider: FactoryProvider<CustomStrategy> = {
  provide: GRPC_PORT_OPTIONS,
  inject: [ConfigService, GrpcHealthService],
  useFactory: (source: EnvironmentSource, health: GrpcHealthService) =>
    createAgentGrpcOptions({
      ...readPortSecurity(source),
      url: addressOf(readEnvironment(agentEnvironment, source)),
      limits: readGrpcLimits(source),
      services: [(server) => health.addToServer(server)],
    }),
};
