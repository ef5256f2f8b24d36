import { Logger } from '@nestjs/common';
import { ConfigurationError } from '../../config/configuration-error.js';
import type { Clock } from '../../task/clock.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { describeError } from '../describe-error.js';
import { pause } from './alarm.js';

/** So long the storage may take to notice that an earlier process of the same name is dead. */
const PREDECESSOR_LIMIT_MS = 5_000;
const PAUSE_MS = 250;

/**
 * Held as long as the process lives, and released by the storage when it dies, however it dies. Who
 * holds it knows that no other process of its name runs, and so whose tasks were left behind. When
 * the connection that holds it is lost, it is taken again.
 */
export class InstanceLock {
  readonly #logger = new Logger(InstanceLock.name);
  readonly #releasing = new AbortController();
  #holding: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly storage: Pick<TaskStorage, 'runExclusively'>,
    private readonly clock: Clock,
    private readonly instanceId: string,
  ) {}

  /**
   * @returns `false` when the signal was aborted before it was held
   * @throws {ConfigurationError} when another process holds it and does not go away
   * @throws {TaskStorageError} when the storage does not answer
   */
  async acquire(signal: AbortSignal): Promise<boolean> {
    const startedMs = this.clock.now().getTime();
    while (!(await this.#tryToHold())) {
      if (signal.aborted) {
        return false;
      }
      if (this.clock.now().getTime() - startedMs >= PREDECESSOR_LIMIT_MS) {
        throw new ConfigurationError(
          `TASK_INSTANCE_ID is ${JSON.stringify(this.instanceId)}, under which another process runs; give each replica its own`,
        );
      }
      await pause(this.clock, PAUSE_MS, signal);
    }
    return true;
  }

  /** Resolves when another process may take it. */
  async release(): Promise<void> {
    this.#releasing.abort();
    await this.#holding;
  }

  /** @returns whether it is held now; `false` when another process holds it */
  async #tryToHold(): Promise<boolean> {
    return new Promise<boolean>((resolve, reject) => {
      this.#holding = this.#hold(resolve).catch(reject);
    });
  }

  /** @param onAnswer called as soon as it is known who holds it */
  async #hold(onAnswer: (isHeldHere: boolean) => void): Promise<void> {
    const { ran } = await this.storage.runExclusively(
      `instance:${this.instanceId}`,
      async (lost) => {
        onAnswer(true);
        await aborted(lost, this.#releasing.signal);
      },
    );
    onAnswer(ran);
    if (ran && !this.#releasing.signal.aborted) {
      await this.#takeAgain();
    }
  }

  async #takeAgain(): Promise<void> {
    this.#logger.warn(`The lock on the instance ${this.instanceId} was lost; taking it again`);
    let problem = '';
    while (!this.#releasing.signal.aborted) {
      try {
        if (await this.#tryToHold()) {
          return;
        }
        problem = 'another process holds it; give each replica its own TASK_INSTANCE_ID';
      } catch (error) {
        problem = describeError(error);
      }
      this.#logger.debug(`The lock on the instance ${this.instanceId} is not back: ${problem}`);
      await pause(this.clock, PAUSE_MS, this.#releasing.signal);
    }
  }
}

async function aborted(...signals: AbortSignal[]): Promise<void> {
  const either = AbortSignal.any(signals);
  if (!either.aborted) {
    await new Promise((resolve) => {
      either.addEventListener('abort', resolve, { once: true });
    });
  }
}
