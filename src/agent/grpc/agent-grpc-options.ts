import type { Server } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import type { CustomStrategy, GrpcOptions } from '@nestjs/microservices';
import {
  createPortSecurity,
  type PortSecurity,
  type PortSecurityOptions,
} from '../auth/port-security.js';
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

/** Where the service listens, who may call it, and what else it answers there. */
export interface AgentGrpcOptions extends PortSecurityOptions {
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
 *
 * @throws {ConfigurationError} when a file of `tls` or `auth` cannot be used, or when others than this
 *   machine could call without being asked who they are
 */
export function createAgentGrpcOptions({
  url,
  services = [],
  limits = {},
  server: serverOptions,
  ...securityOptions
}: AgentGrpcOptions): CustomStrategy {
  const ownCredentials = serverOptions?.credentials ?? null;
  const security = createPortSecurity(url, ownCredentials, securityOptions);
  return {
    strategy: new UnaryGrpcServer(
      {
        gracefulShutdown: true,
        keepalive: KEEPALIVE,
        ...serverOptions,
        ...securedServerOptions(security, {
          ...toChannelOptions(limits),
          ...serverOptions?.channelOptions,
        }),
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
      },
      () => security.stop(),
    ),
  };
}

/** The gate goes before interceptors of the application: these need not see whom it refuses. */
function securedServerOptions(
  { credentials, interceptors }: PortSecurity,
  channelOptions: NonNullable<GrpcServerOptions['channelOptions']>,
): GrpcServerOptions {
  const others: unknown = channelOptions['interceptors'];
  return {
    ...(credentials !== null && { credentials }),
    channelOptions: {
      ...channelOptions,
      ...(interceptors.length > 0 && {
        interceptors: [...interceptors, ...(Array.isArray(others) ? others : [])],
      }),
    },
  };
}
