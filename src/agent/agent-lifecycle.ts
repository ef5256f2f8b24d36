import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { ConfigurationError } from '../config/configuration-error.js';
import type { Clock } from '../task/clock.js';
import type { TaskStorage } from '../task/task-storage.js';
import {
  AGENT_CLOCK,
  AGENT_LEASE_OWNER,
  AGENT_SETTINGS,
  AGENT_STORAGE,
  type AgentSettings,
} from './agent-options.js';
import { describeError } from './describe-error.js';
import { keepProcessAlive } from './keep-process-alive.js';
import { endsWithin } from './supervisor/alarm.js';
import { InstanceLock } from './supervisor/instance-lock.js';
import { endInterruptedTasks } from './supervisor/interrupted-tasks.js';
import { retryWhileUnavailable } from './supervisor/storage-retry.js';
import { TaskFollower } from './supervisor/task-follower.js';
import { TaskSupervisor } from './supervisor/task-supervisor.js';
import { TaskWakeUps } from './supervisor/task-wake-ups.js';

/**
 * How long the start waits for a storage that does not answer, and goes on without the end of the
 * tasks of an earlier start. Longer than the wait for the lock.
 */
const RECOVERY_LIMIT_MS = 10_000;

/** A storage that hangs gives the lock back when it notices that this process is gone. */
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
  readonly #stopping = new AbortController();
  readonly #lock: InstanceLock | null;

  constructor(
    @Inject(AGENT_STORAGE) private readonly storage: TaskStorage,
    @Inject(AGENT_SETTINGS) private readonly settings: AgentSettings,
    @Inject(AGENT_CLOCK) private readonly clock: Clock,
    @Inject(AGENT_LEASE_OWNER) private readonly leaseOwner: string,
    private readonly wakeUps: TaskWakeUps,
    private readonly supervisor: TaskSupervisor,
    private readonly follower: TaskFollower,
  ) {
    const { instanceId } = settings;
    this.#lock = instanceId === null ? null : new InstanceLock(storage, clock, instanceId);
  }

  /**
   * A storage that does not answer yet must not keep the service from starting.
   *
   * @throws {ConfigurationError} when another process runs under the same instance id
   */
  async onApplicationBootstrap(): Promise<void> {
    if (this.#lock === null) {
      return;
    }
    const recovery = this.#recover(this.#lock);
    const isInTime = await keepProcessAlive(endsWithin(this.clock, RECOVERY_LIMIT_MS, recovery));
    if (!isInTime) {
      void recovery.then((refusal) => this.#stopWhenRefused(refusal));
      return;
    }
    const refusal = await recovery;
    if (refusal !== null) {
      throw refusal;
    }
  }

  onModuleDestroy(): void {
    this.supervisor.refuseNewTasks();
    this.#stopping.abort();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await keepProcessAlive(this.#stop());
  }

  async #stop(): Promise<void> {
    await this.supervisor.stop(this.settings.shutdownGraceMs);
    // Their last messages are sent while the port closes.
    this.follower.stop();
    if (this.#lock !== null) {
      await endsWithin(this.clock, RELEASE_LIMIT_MS, this.#lock.release());
    }
  }

  /** The application has started meanwhile, so that the only way to refuse is to stop it. */
  #stopWhenRefused(refusal: ConfigurationError | null): void {
    if (refusal !== null) {
      this.#logger.error(`Stopping: ${refusal.message}`);
      process.kill(process.pid, 'SIGTERM');
    }
  }

  /** @returns why this process must not run; `null` when it may */
  async #recover(lock: InstanceLock): Promise<ConfigurationError | null> {
    const limits = { clock: this.clock, signal: this.#stopping.signal };
    try {
      if (!(await retryWhileUnavailable(async () => lock.acquire(limits.signal), limits))) {
        return null;
      }
      await retryWhileUnavailable(
        async () => endInterruptedTasks(this.storage, this.wakeUps, this.leaseOwner),
        limits,
      );
      return null;
    } catch (error) {
      if (error instanceof ConfigurationError) {
        return error;
      }
      this.#logger.error(
        `The tasks that an earlier start left behind were not ended: ${describeError(error)}`,
      );
      return null;
    }
  }
}
