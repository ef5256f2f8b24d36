import { hostname } from 'node:os';
import { z } from 'zod';
import { integer, readEnvironment, text, type EnvironmentSource } from '../config/environment.js';
import { securityEnvironment } from './auth/security-environment.js';
import { agentLimitVariables, toAgentLimits } from './limits/agent-limits.js';
import { grpcLimitVariables } from './limits/grpc-limits.js';
import { agentParsers, type AgentModuleOptions } from './agent-options.js';

const HIGHEST_PORT = 65_535;

/** The variables of the gRPC service. */
export const agentEnvironment = z.object({
  /** How many tasks may be active at once, over all replicas. */
  TASK_MAX_TASKS: agentParsers.maxTasks,
  /** The same for the tasks of one tenant. Not set: `TASK_MAX_TASKS`. */
  TASK_MAX_TASKS_PER_TENANT: agentParsers.maxTasksPerTenant,
  /** How many tasks this replica may run at once. Not set: as many as there are. */
  TASK_MAX_TASKS_PER_REPLICA: agentParsers.maxTasksPerReplica,
  /** What becomes of a task above the limit: `reject` or `queue`. */
  TASK_WHEN_FULL: agentParsers.whenFull,
  /** Milliseconds that a task stays with a replica that gives no sign of life. */
  TASK_LEASE_MS: agentParsers.leaseMs,
  /** How often a task of a resumable runner is attempted. */
  TASK_MAX_ATTEMPTS: agentParsers.maxAttempts,
  /** Minutes after which a running task without a lease is ended. Not set: never. */
  TASK_STALE_RUNNING_MINUTES: agentParsers.staleRunningMinutes,
  /** The keys for secrets that must be stored. Not set: none is stored. */
  TASK_STORAGE_ENCRYPTION_KEYS: agentParsers.encryptionKeys,
  /** Fields with secrets of the application, as paths separated by commas. Not set: none. */
  TASK_REDACT_PATHS: agentParsers.redact,
  /** The address to listen on; `0.0.0.0` for all of them. */
  GRPC_HOST: text('127.0.0.1'),
  /** The port to listen on. */
  GRPC_PORT: integer({ minimum: 1, maximum: HIGHEST_PORT, defaultValue: 50_051 }),
  ...securityEnvironment.shape,
  /** `1` or `true`: calls may set the global configuration. */
  ALLOW_SET_GLOBAL_CONFIG: agentParsers.allowSetGlobalConfig,
  /** How much is logged. */
  LOG_LEVEL: agentParsers.logLevel,
  /** Milliseconds that running tasks get to end by themselves when the service is stopped. */
  SHUTDOWN_GRACE_MS: agentParsers.shutdownGraceMs,
  /** The name of this replica, for people. Not set: `<host name>:<GRPC_PORT>`. */
  TASK_INSTANCE_ID: agentParsers.instanceId,
  ...agentLimitVariables,
  ...grpcLimitVariables,
});

/** The checked values of {@link agentEnvironment}. */
export type AgentEnvironment = z.output<typeof agentEnvironment>;

/** @throws {ConfigurationError} with one sentence for each variable that is wrong */
export function readAgentOptions(source: EnvironmentSource): AgentModuleOptions {
  const variables = readEnvironment(agentEnvironment, source);
  return {
    maxTasks: variables.TASK_MAX_TASKS,
    maxTasksPerTenant: variables.TASK_MAX_TASKS_PER_TENANT,
    maxTasksPerReplica: variables.TASK_MAX_TASKS_PER_REPLICA,
    whenFull: variables.TASK_WHEN_FULL,
    leaseMs: variables.TASK_LEASE_MS,
    maxAttempts: variables.TASK_MAX_ATTEMPTS,
    staleRunningMinutes: variables.TASK_STALE_RUNNING_MINUTES,
    encryptionKeys: variables.TASK_STORAGE_ENCRYPTION_KEYS,
    redact: variables.TASK_REDACT_PATHS,
    allowSetGlobalConfig: variables.ALLOW_SET_GLOBAL_CONFIG,
    logLevel: variables.LOG_LEVEL,
    instanceId: variables.TASK_INSTANCE_ID ?? `${hostname()}:${variables.GRPC_PORT}`,
    shutdownGraceMs: variables.SHUTDOWN_GRACE_MS,
    ...toAgentLimits(variables),
  };
}
