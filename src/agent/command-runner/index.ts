export { CommandAgentRunner, type CommandAgentRunnerOptions } from './command-agent-runner.js';
export { parseCommandLine, type CommandLine } from './command-line.js';
export {
  commandRunnerEnvironment,
  createCommandAgentRunner,
  type CommandRunnerEnvironment,
} from './command-runner-environment.js';
