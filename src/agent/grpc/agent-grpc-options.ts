import type { Server } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { Transport, type GrpcOptions } from '@nestjs/microservices';
import { limitGracefulShutdown } from './port-closing.js';
import { AGENT_PACKAGES, LOADER_OPTIONS, PROTO_PATHS } from './proto-files.js';

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
export function createAgentGrpcOptions({
  url,
  services = [],
}: AgentGrpcOptions): GrpcOptions & Required<Pick<GrpcOptions, 'transport'>> {
  return {
    transport: Transport.GRPC,
    options: {
      url,
      package: AGENT_PACKAGES,
      protoPath: PROTO_PATHS,
      loader: LOADER_OPTIONS,
      gracefulShutdown: true,
      onLoadPackageDefinition: (definitions: PackageDefinition, server: Server) => {
        limitGracefulShutdown(server);
        new ReflectionService(definitions).addToServer(server);
        services.forEach((addService) => addService(server));
      },
    },
  };
}
