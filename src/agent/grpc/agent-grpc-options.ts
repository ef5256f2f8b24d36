import type { Server } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import type { CustomStrategy, GrpcOptions } from '@nestjs/microservices';
import { toChannelOptions, type GrpcLimitOptions } from '../limits/grpc-limits.js';
import { checkRequests } from './checked-requests.js';
import { limitGracefulShutdown } from './port-closing.js';
import {
  AGENT_SERVICE,
  LOADER_OPTIONS,
  SERVICE_PACKAGES,
  TASK_SERVICE,
  SERVICE_PROTO_PATHS,
} from './proto-files.js';
import { withImports } from './reflected-definitions.js';
import { UnaryGrpcServer } from './unary-grpc-server.js';

/** Without it, a client that vanished without a word would be streamed to for ever. */
const KEEPALIVE = { keepaliveTimeMs: 60_000, keepaliveTimeoutMs: 20_000 };

/** What an application may set of Nest's own options of a gRPC server, `credentials` among them. */
export type GrpcServerOptions = Omit<
  GrpcOptions['options'],
  | 'url'
  | 'package'
  | 'protoPath'
  | 'protoLoader'
  | 'packageDefinition'
  | 'loader'
  | 'onLoadPackageDefinition'
>;

/** Where the service listens, and what else it answers there. */
export interface AgentGrpcOptions {
  /** Address and port, such as `127.0.0.1:50051`. */
  url: string;
  /** Each is called with the server before it starts, to add a service of its own. */
  services?: readonly ((server: Server) => void)[] | undefined;
  /** What one connection may take of the server. */
  limits?: GrpcLimitOptions | undefined;
  /** Such as `credentials` for TLS. What it says goes before `limits`. */
  server?: GrpcServerOptions | undefined;
}

/**
 * Makes the options of the microservice: for `NestFactory.createMicroservice`, or for
 * `app.connectMicroservice` of an application that serves more. It answers both services and server
 * reflection.
 */
export function createAgentGrpcOptions({
  url,
  services = [],
  limits = {},
  server: serverOptions,
}: AgentGrpcOptions): CustomStrategy {
  return {
    strategy: new UnaryGrpcServer({
      gracefulShutdown: true,
      keepalive: KEEPALIVE,
      ...serverOptions,
      channelOptions: { ...toChannelOptions(limits), ...serverOptions?.channelOptions },
      url,
      package: SERVICE_PACKAGES,
      protoPath: SERVICE_PROTO_PATHS,
      loader: LOADER_OPTIONS,
      onLoadPackageDefinition: (definitions: PackageDefinition, server: Server) => {
        limitGracefulShutdown(server);
        checkRequests(definitions, [AGENT_SERVICE, TASK_SERVICE]);
        new ReflectionService(withImports(definitions)).addToServer(server);
        services.forEach((addService) => addService(server));
      },
    }),
  };
}
