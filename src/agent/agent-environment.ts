import { hostname } from 'node:os';
import { z } from 'zod';
import { integer, readEnvironment, text, type EnvironmentSource } from '../config/environment.js';
import { agentParsers, type AgentModuleOptions } from './agent-options.js';

const HIGHEST_PORT = 65_535;

/** The variables of the gRPC service. */
export const agentEnvironment = z.object({
  /** How many tasks may be active at once, over all replicas. */
  TASK_MAX_TASKS: agentParsers.maxTasks,
  /** The address to listen on; `0.0.0.0` for all of them. */
  GRPC_HOST: text('127.0.0.1'),
  /** The port to listen on. */
  GRPC_PORT: integer({ minimum: 1, maximum: HIGHEST_PORT, defaultValue: 50_051 }),
  /** `1` or `true`: calls may set the global configuration. */
  ALLOW_SET_GLOBAL_CONFIG: agentParsers.allowSetGlobalConfig,
  /** How much is logged. */
  LOG_LEVEL: agentParsers.logLevel,
  /** Milliseconds that running tasks get to end by themselves when the service is stopped. */
  SHUTDOWN_GRACE_MS: agentParsers.shutdownGraceMs,
  /** Who this replica is, the same at each start. Not set: `<host name>:<GRPC_PORT>`. */
  TASK_INSTANCE_ID: agentParsers.instanceId,
});

/** The checked values of {@link agentEnvironment}. */
export type AgentEnvironment = z.output<typeof agentEnvironment>;

/** @throws {ConfigurationError} with one sentence for each variable that is wrong */
export function readAgentOptions(source: EnvironmentSource): AgentModuleOptions {
  const variables = readEnvironment(agentEnvironment, source);
  return {
    maxTasks: variables.TASK_MAX_TASKS,
    allowSetGlobalConfig: variables.ALLOW_SET_GLOBAL_CONFIG,
    logLevel: variables.LOG_LEVEL,
    instanceId: variables.TASK_INSTANCE_ID ?? `${hostname()}:${variables.GRPC_PORT}`,
    shutdownGraceMs: variables.SHUTDOWN_GRACE_MS,
  };
}
