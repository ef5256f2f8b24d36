import { Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Clock } from '../task/clock.js';
import type { TaskStorage } from '../task/task-storage.js';

/** How the {@link StorageHealthMonitor} asks. */
export interface HealthCheckTiming {
  /** How long to wait after an answer before asking again. */
  readonly intervalMs: number;
  /** How long an answer may take; a later one counts as none. */
  readonly timeoutMs: number;
}

type MonitorState = 'unknown' | 'serving' | 'failing' | 'stopped';

/**
 * Knows whether the service can serve: while the storage answers, and until the application shuts
 * down. Before the first answer it cannot.
 */
export class StorageHealthMonitor implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #logger = new Logger(StorageHealthMonitor.name);
  readonly #listeners: ((isServing: boolean) => void)[] = [];
  #state: MonitorState = 'unknown';
  #cancelTimer: () => void = () => undefined;

  constructor(
    private readonly storage: TaskStorage,
    private readonly timing: HealthCheckTiming,
    private readonly clock: Clock,
  ) {}

  get isServing(): boolean {
    return this.#state === 'serving';
  }

  /** Tells the listener of each change. */
  onChange(listener: (isServing: boolean) => void): void {
    this.#listeners.push(listener);
  }

  onApplicationBootstrap(): void {
    this.#check();
  }

  /** The first of Nest's shutdown hooks: clients go elsewhere while calls under way still end. */
  onModuleDestroy(): void {
    this.#cancelTimer();
    this.#become('stopped', 'The application shuts down');
  }

  /** One question at a time: a storage that hangs is not helped by more of them. */
  #check(): void {
    const { timeoutMs } = this.timing;
    let isLate = false;
    this.#cancelTimer = this.clock.after(timeoutMs, () => {
      isLate = true;
      this.#conclude(`it took longer than ${timeoutMs} ms`);
    });
    void this.#settle(() => isLate);
  }

  async #settle(isLate: () => boolean): Promise<void> {
    const problem = await this.#ping();
    if (this.#state === 'stopped') {
      return;
    }
    this.#cancelTimer();
    if (!isLate()) {
      this.#conclude(problem);
    }
    this.#cancelTimer = this.clock.after(this.timing.intervalMs, () => this.#check());
  }

  #conclude(problem: string | null): void {
    if (problem === null) {
      this.#become('serving', `The storage answers (${this.storage.description})`);
    } else {
      this.#become('failing', `The storage does not answer: ${problem}`);
    }
  }

  /** @returns what is wrong, or `null` */
  async #ping(): Promise<string | null> {
    try {
      await this.storage.ping();
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #become(state: MonitorState, reason: string): void {
    if (state === this.#state) {
      return;
    }
    const wasServing = this.isServing;
    this.#state = state;
    this.#logger[state === 'failing' ? 'error' : 'log'](
      `${this.isServing ? 'SERVING' : 'NOT_SERVING'}: ${reason}`,
    );
    if (wasServing !== this.isServing) {
      for (const listener of this.#listeners) {
        listener(this.isServing);
      }
    }
  }
}
