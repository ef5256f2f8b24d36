import { randomUUID } from 'node:crypto';
import {
  Module,
  type DynamicModule,
  type FactoryProvider,
  type InjectionToken,
  type ModuleMetadata,
  type Provider,
  type Type,
} from '@nestjs/common';
import { awaitedByNest } from '../config/awaited-by-nest.js';
import { optionsFromConfigService } from '../config/options-from-config-service.js';
import { systemClock, type Clock } from '../task/clock.js';
import { TASK_STORAGE, type TaskStorage } from '../task/task-storage.js';
import { readAgentOptions } from './agent-environment.js';
import { AgentLifecycle } from './agent-lifecycle.js';
import {
  AGENT_CLOCK,
  AGENT_SETTINGS,
  AGENT_STORAGE,
  toAgentSettings,
  type AgentModuleOptions,
  type AgentSettings,
} from './agent-options.js';
import { AGENT_RUNNER, type AgentRunner } from './agent-runner.js';
import { TaskScopes } from './auth/task-scopes.js';
import { GlobalConfig } from './global-config/global-config.js';
import { AgentController } from './grpc/agent.controller.js';
import { GlobalConfigController } from './grpc/global-config.controller.js';
import { InstructionStream } from './grpc/instruction-stream.js';
import { TaskServiceController } from './grpc/task-service.controller.js';
import { StreamLimit } from './limits/stream-limit.js';
import { withRedaction } from './redaction/redacting-runner.js';
import { LeaseKeeper } from './supervisor/lease-keeper.js';
import { leaseOwnerOf } from './supervisor/lease-owner.js';
import { TaskClaimer } from './supervisor/task-claimer.js';
import { TaskFollower } from './supervisor/task-follower.js';
import { TaskRuns } from './supervisor/task-runs.js';
import { TaskSupervisor, type TaskSupervisorContext } from './supervisor/task-supervisor.js';
import { TaskWakeUps } from './supervisor/task-wake-ups.js';

/** Makes the runner; `null` when this process is to run no tasks. */
export type AgentRunnerFactory = Pick<FactoryProvider<AgentRunner | null>, 'inject' | 'useFactory'>;

/** What is decided when the module is imported, before there are any providers. */
export interface AgentModuleRegistration {
  /**
   * What runs the tasks: a class, which gets its dependencies injected, or a factory. Left out, a
   * provider of `AGENT_RUNNER` that is global or imported is taken; without one, the service runs no
   * tasks and still answers everything else.
   */
  runner?: Type<AgentRunner> | AgentRunnerFactory | undefined;
  /** The token of the storage. Default `TASK_STORAGE`. */
  storage?: InjectionToken | undefined;
  /** Modules that export what the runner and the options need, and the storage if it is not global. */
  imports?: ModuleMetadata['imports'] | undefined;
}

/** How an application makes the options of {@link AgentModule} itself, or has them read. */
export type AgentModuleAsyncOptions = AgentModuleRegistration &
  Partial<Pick<FactoryProvider<AgentModuleOptions>, 'inject' | 'useFactory'>>;

type OptionsFactory = Pick<FactoryProvider<AgentModuleOptions>, 'inject' | 'useFactory'>;

const AGENT_OPTIONS = Symbol('AGENT_OPTIONS');
const SUPERVISOR_CONTEXT = Symbol('SUPERVISOR_CONTEXT');

const providers: Provider[] = [
  { provide: AGENT_CLOCK, useValue: systemClock },
  { provide: AGENT_SETTINGS, inject: [AGENT_OPTIONS], useFactory: toAgentSettings },
  {
    provide: LeaseKeeper,
    inject: [AGENT_STORAGE, AGENT_CLOCK, AGENT_SETTINGS],
    useFactory: (storage: TaskStorage, clock: Clock, { instanceId, leaseMs }: AgentSettings) =>
      new LeaseKeeper(storage, clock, leaseOwnerOf(instanceId, randomUUID()), leaseMs),
  },
  {
    provide: GlobalConfig,
    inject: [AGENT_STORAGE, AGENT_SETTINGS],
    useFactory: (storage: TaskStorage, settings: AgentSettings) =>
      new GlobalConfig(storage.settings, settings),
  },
  {
    provide: TaskFollower,
    inject: [AGENT_CLOCK, TaskWakeUps],
    useFactory: (clock: Clock, wakeUps: TaskWakeUps) => new TaskFollower(clock, wakeUps),
  },
  {
    provide: TaskWakeUps,
    inject: [AGENT_STORAGE],
    useFactory: (storage: TaskStorage) => new TaskWakeUps(storage.changes),
  },
  {
    provide: TaskRuns,
    inject: [AGENT_STORAGE, AGENT_CLOCK, LeaseKeeper, AGENT_SETTINGS],
    useFactory: (
      storage: TaskStorage,
      clock: Clock,
      keeper: LeaseKeeper,
      settings: AgentSettings,
    ) => new TaskRuns({ storage, clock, keeper, settings }),
  },
  {
    provide: SUPERVISOR_CONTEXT,
    inject: [
      AGENT_STORAGE,
      AGENT_CLOCK,
      LeaseKeeper,
      TaskRuns,
      GlobalConfig,
      AGENT_SETTINGS,
      { token: AGENT_RUNNER, optional: true },
    ],
    useFactory: (
      storage: TaskStorage,
      clock: Clock,
      keeper: LeaseKeeper,
      runs: TaskRuns,
      globalConfig: GlobalConfig,
      settings: AgentSettings,
      runner: AgentRunner | null = null,
    ): TaskSupervisorContext => {
      const { keyRing, redaction } = settings;
      const sources = { storage, clock, keeper, runs, globalConfig, keyRing, redaction };
      return { ...sources, settings, runner: withRedaction(runner, redaction) };
    },
  },
  {
    provide: TaskSupervisor,
    inject: [SUPERVISOR_CONTEXT],
    useFactory: (context: TaskSupervisorContext) => new TaskSupervisor(context),
  },
  {
    provide: TaskClaimer,
    inject: [SUPERVISOR_CONTEXT],
    useFactory: (context: TaskSupervisorContext) => new TaskClaimer(context),
  },
  TaskScopes,
  {
    provide: StreamLimit,
    inject: [AGENT_SETTINGS],
    useFactory: ({ maxStreams }: AgentSettings) => new StreamLimit(maxStreams),
  },
  InstructionStream,
  AgentLifecycle,
];

function runnerProvider(runner: AgentModuleRegistration['runner']): Provider[] {
  if (runner === undefined) {
    return [];
  }
  return typeof runner === 'function'
    ? [{ provide: AGENT_RUNNER, useClass: runner }]
    : [{ provide: AGENT_RUNNER, ...runner }];
}

function register(
  { runner, storage = TASK_STORAGE, imports = [] }: AgentModuleRegistration,
  options: OptionsFactory,
): DynamicModule {
  return {
    module: AgentModule,
    imports,
    controllers: [AgentController, GlobalConfigController, TaskServiceController],
    providers: [
      { provide: AGENT_OPTIONS, ...options },
      { provide: AGENT_STORAGE, useExisting: storage },
      ...runnerProvider(runner),
      ...providers,
    ],
  };
}

async function registerAsync(options: AgentModuleAsyncOptions): Promise<DynamicModule> {
  const { useFactory, inject = [] } = options;
  if (useFactory !== undefined) {
    return register(options, { useFactory, inject });
  }
  return register(options, await optionsFromConfigService(AgentModule.name, readAgentOptions));
}

/**
 * The gRPC service: runs tasks and answers everything about them. The application provides a
 * `TASK_STORAGE`, and connects the transport with `createAgentGrpcOptions`.
 */
@Module({})
export class AgentModule {
  /** @throws {ConfigurationError} at start, when an option is wrong */
  static forRoot(options: AgentModuleOptions & AgentModuleRegistration = {}): DynamicModule {
    const { runner, storage, imports, ...settings } = options;
    return register({ runner, storage, imports }, { useFactory: () => settings });
  }

  /** Without a factory it reads the variables of `agentEnvironment` through ConfigService. */
  static forRootAsync(options: AgentModuleAsyncOptions = {}): Promise<DynamicModule> {
    return awaitedByNest(registerAsync(options));
  }
}
