export { AgentModule } from './agent.module.js';
export type {
  AgentModuleAsyncOptions,
  AgentModuleRegistration,
  AgentRunnerFactory,
} from './agent.module.js';
export type { AgentModuleOptions } from './agent-options.js';
export { agentEnvironment, readAgentOptions, type AgentEnvironment } from './agent-environment.js';
export {
  AGENT_RUNNER,
  type AgentOutcome,
  type AgentProgress,
  type AgentRun,
  type AgentRunner,
  type PreviousTask,
} from './agent-runner.js';
export { readPortSecurity, securityEnvironment } from './auth/security-environment.js';
export type { AuthOptions, PortSecurityOptions } from './auth/port-security.js';
export type { TlsOptions } from './grpc/server-credentials.js';
export {
  createAgentGrpcOptions,
  type AgentGrpcOptions,
  type GrpcServerOptions,
} from './grpc/agent-grpc-options.js';
export { readGrpcLimits, type GrpcLimitOptions } from './limits/grpc-limits.js';
export {
  CommandAgentRunner,
  commandRunnerEnvironment,
  createCommandAgentRunner,
  parseCommandLine,
  type CommandAgentRunnerOptions,
  type CommandLine,
  type CommandRunnerEnvironment,
} from './command-runner/index.js';
