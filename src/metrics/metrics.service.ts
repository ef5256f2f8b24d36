import { Logger, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { TaskStorage } from '../task/task-storage.js';
import type { MetricsOptions } from './metrics-environment.js';
import { MetricsServer } from './metrics-server.js';
import { TaskMetrics, type RetentionRun } from './task-metrics.js';

/** Serves the metrics while the application runs, when they are enabled. */
export class MetricsService implements OnModuleInit, BeforeApplicationShutdown {
  readonly #logger = new Logger(MetricsService.name);
  #metrics: TaskMetrics | null = null;
  #server: MetricsServer | null = null;
  #url: string | null = null;

  constructor(
    private readonly storage: TaskStorage,
    private readonly options: MetricsOptions,
  ) {}

  /** Where the metrics are served; `null` when they are not. */
  get url(): string | null {
    return this.#url;
  }

  /** Counts a retention run. Without effect while metrics are disabled. */
  recordRetentionRun(run: RetentionRun): void {
    this.#metrics?.recordRetentionRun(run);
  }

  async onModuleInit(): Promise<void> {
    if (!this.options.enabled) {
      return;
    }
    this.#metrics = await TaskMetrics.create(this.storage);
    this.#server = new MetricsServer(this.#metrics);
    this.#url = await this.#server.listen(this.options.host, this.options.port);
    this.#logger.log(`Metrics are at ${this.#url}`);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#server?.close();
    this.#url = null;
  }
}
