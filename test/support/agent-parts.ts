import { toAgentSettings, type AgentModuleOptions } from '../../src/agent/agent-options.js';
import type { AgentRunner } from '../../src/agent/agent-runner.js';
import { GlobalConfig } from '../../src/agent/global-config/global-config.js';
import { LeaseKeeper } from '../../src/agent/supervisor/lease-keeper.js';
import { TaskClaimer } from '../../src/agent/supervisor/task-claimer.js';
import { TaskFollower } from '../../src/agent/supervisor/task-follower.js';
import { TaskRuns } from '../../src/agent/supervisor/task-runs.js';
import { TaskSupervisor } from '../../src/agent/supervisor/task-supervisor.js';
import { TaskWakeUps } from '../../src/agent/supervisor/task-wake-ups.js';
import type { RunAgentInstruction } from '../../src/agent/wire/agent-requests.js';
import type { Clock } from '../../src/task/clock.js';
import type { TaskStorage } from '../../src/task/task-storage.js';

/** What a client asks for when it says no more than it must. */
export const REQUEST: RunAgentInstruction = {
  instruction: 'run',
  sandbox: undefined,
  runningConfig: undefined,
  destroySandbox: undefined,
  previousTaskId: undefined,
};

/** The parts of a service, put together as its module does, without the module. */
export interface AgentParts {
  readonly keeper: LeaseKeeper;
  readonly runs: TaskRuns;
  readonly supervisor: TaskSupervisor;
  readonly claimer: TaskClaimer;
  readonly follower: TaskFollower;
}

/** Nothing is started: a test starts what it needs. */
export function createAgentParts(
  storage: TaskStorage,
  clock: Clock,
  runner: AgentRunner | null,
  { instanceId = 'me', ...options }: AgentModuleOptions = {},
): AgentParts {
  const settings = toAgentSettings({ ...options, instanceId });
  const { leaseMs, keyRing, redaction } = settings;
  const keeper = new LeaseKeeper(storage, clock, `${instanceId}#now`, leaseMs);
  const runs = new TaskRuns({ storage, clock, keeper, settings });
  const globalConfig = new GlobalConfig(storage.settings, settings);
  const context = {
    storage,
    clock,
    keeper,
    runs,
    globalConfig,
    keyRing,
    redaction,
    settings,
    runner,
  };
  return {
    keeper,
    runs,
    supervisor: new TaskSupervisor(context),
    claimer: new TaskClaimer(context),
    follower: new TaskFollower(clock, new TaskWakeUps(storage.changes)),
  };
}
