import { ConfigurationError } from '../../config/configuration-error.js';
import type { Clock } from '../../task/clock.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { pause } from './alarm.js';

/** So long the storage may take to notice that an earlier process of the same name is dead. */
const PREDECESSOR_LIMIT_MS = 5_000;
const PAUSE_MS = 250;

/**
 * Held as long as the process lives, and released by the storage when it dies, however it dies. Who
 * holds it knows that no other process of its name runs, and so whose tasks were left behind.
 */
export class InstanceLock {
  #release: () => void = () => undefined;
  readonly #released = new Promise<void>((resolve) => {
    this.#release = resolve;
  });
  #holding: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly storage: Pick<TaskStorage, 'runExclusively'>,
    private readonly clock: Clock,
    private readonly instanceId: string,
  ) {}

  /**
   * @throws {ConfigurationError} when another process holds it and does not go away
   * @throws {TaskStorageError} when the storage does not answer
   */
  async acquire(signal: AbortSignal): Promise<void> {
    const startedMs = this.clock.now().getTime();
    while (!(await this.#tryToHold())) {
      if (signal.aborted || this.clock.now().getTime() - startedMs >= PREDECESSOR_LIMIT_MS) {
        throw new ConfigurationError(
          `TASK_INSTANCE_ID is ${JSON.stringify(this.instanceId)}, under which another process runs; give each replica its own`,
        );
      }
      await pause(this.clock, PAUSE_MS, signal);
    }
  }

  /** Resolves when another process may take it. */
  async release(): Promise<void> {
    this.#release();
    await this.#holding;
  }

  async #tryToHold(): Promise<boolean> {
    return new Promise<boolean>((resolve, reject) => {
      this.#holding = this.storage
        .runExclusively(`instance:${this.instanceId}`, async () => {
          resolve(true);
          await this.#released;
        })
        .then(({ ran }) => resolve(ran), reject);
    });
  }
}
