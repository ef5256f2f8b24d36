import type { Server } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { Transport, type GrpcOptions } from '@nestjs/microservices';
import { limitGracefulShutdown } from './port-closing.js';
import { LOADER_OPTIONS, SERVICE_PACKAGES, SERVICE_PROTO_PATHS } from './proto-files.js';
import { withImports } from './reflected-definitions.js';

/** Without it, a client that vanished without a word would be streamed to for ever. */
const KEEPALIVE = { keepaliveTimeMs: 60_000, keepaliveTimeoutMs: 20_000 };

/** Where the service listens, and what else it answers there. */
export interface AgentGrpcOptions {
  /** Address and port, such as `127.0.0.1:50051`. */
  url: string;
  /** Each is called with the server before it starts, to add a service of its own. */
  services?: readonly ((server: Server) => void)[] | undefined;
}

/**
 * Makes the options of the microservice: for `NestFactory.createMicroservice`, or for
 * `app.connectMicroservice` of an application that serves more. It answers both services and server
 * reflection.
 */
export function createAgentGrpcOptions({ url, services = [] }: AgentGrpcOptions): GrpcOptions {
  return {
    transport: Transport.GRPC,
    options: {
      url,
      package: SERVICE_PACKAGES,
      protoPath: SERVICE_PROTO_PATHS,
      loader: LOADER_OPTIONS,
      gracefulShutdown: true,
      keepalive: KEEPALIVE,
      onLoadPackageDefinition: (definitions: PackageDefinition, server: Server) => {
        limitGracefulShutdown(server);
        new ReflectionService(withImports(definitions)).addToServer(server);
        services.forEach((addService) => addService(server));
      },
    },
  };
}
