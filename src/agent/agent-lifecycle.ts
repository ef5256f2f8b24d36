import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import type { Clock } from '../task/clock.js';
import { AGENT_CLOCK, AGENT_SETTINGS, type AgentSettings } from './agent-options.js';
import { describeError } from './describe-error.js';
import { keepProcessAlive } from './keep-process-alive.js';
import { endsWithin } from './supervisor/alarm.js';
import { LeaseKeeper } from './supervisor/lease-keeper.js';
import { TaskClaimer } from './supervisor/task-claimer.js';
import { TaskFollower } from './supervisor/task-follower.js';
import { TaskSupervisor } from './supervisor/task-supervisor.js';

/** How long the end waits for a storage that hangs. Leases that are not given up end by themselves. */
const RELEASE_LIMIT_MS = 1_000;

/**
 * Starts and stops the agent with the application. Nest calls `onModuleDestroy`, then
 * `beforeApplicationShutdown`, then closes the port, then `onApplicationShutdown`, where the storage
 * closes.
 */
@Injectable()
export class AgentLifecycle
  implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown
{
  readonly #logger = new Logger(AgentLifecycle.name);

  constructor(
    @Inject(AGENT_SETTINGS) private readonly settings: AgentSettings,
    @Inject(AGENT_CLOCK) private readonly clock: Clock,
    private readonly keeper: LeaseKeeper,
    private readonly claimer: TaskClaimer,
    private readonly supervisor: TaskSupervisor,
    private readonly follower: TaskFollower,
  ) {}

  /** A storage that does not answer yet must not keep the service from starting. */
  onApplicationBootstrap(): void {
    this.keeper.start();
    this.claimer.start();
  }

  onModuleDestroy(): void {
    this.supervisor.refuseNewTasks();
    void this.claimer.stop();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await keepProcessAlive(this.#stop());
  }

  async #stop(): Promise<void> {
    const isSettled = await this.supervisor.stop(this.settings.shutdownGraceMs);
    // Their last messages are sent while the port closes.
    this.follower.stop();
    await endsWithin(this.clock, RELEASE_LIMIT_MS, this.#giveUpLeases(isSettled));
  }

  /** What was left to other replicas is theirs at once, but not while a runner may still work. */
  async #giveUpLeases(isSettled: boolean): Promise<void> {
    try {
      await Promise.all([this.claimer.stop(), this.keeper.stop()]);
      if (isSettled) {
        await this.keeper.giveUp();
      }
    } catch (error) {
      this.#logger.debug(`Leases were not given up: ${describeError(error)}`);
    }
  }
}
