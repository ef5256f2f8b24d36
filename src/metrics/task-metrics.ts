import { Logger } from '@nestjs/common';
import type { Counter, Gauge, Registry } from 'prom-client';
import { loadOptionalPackage } from '../config/optional-package.js';
import { TERMINAL_STATUSES, type TerminalStatus } from '../task/task-lifecycle.js';
import type { TaskOperations } from '../task/task-storage.js';

const RETENTION_OUTCOMES = ['completed', 'interrupted', 'skipped', 'failed'] as const;

/** What the metrics need to know of a retention run. */
export interface RetentionRun {
  readonly outcome: (typeof RETENTION_OUTCOMES)[number];
  readonly deletedByStatus: Readonly<Record<TerminalStatus, number>>;
  readonly dryRun: boolean;
}

/** The metrics of this process and of the storage behind it. */
export class TaskMetrics {
  readonly #logger = new Logger(TaskMetrics.name);
  readonly #registry: Registry;
  readonly #storageUp: Gauge;
  readonly #activeTasks: Gauge;
  readonly #retentionDeleted: Counter<'status'>;
  readonly #retentionRuns: Counter<'outcome'>;

  private constructor(
    client: typeof import('prom-client'),
    private readonly storage: Pick<TaskOperations, 'countActiveTasks'>,
  ) {
    this.#registry = new client.Registry();
    const registers = [this.#registry];
    client.collectDefaultMetrics({ register: this.#registry });
    this.#storageUp = new client.Gauge({
      name: 'task_storage_up',
      help: 'Whether the task storage answered when these metrics were asked for: 1 or 0.',
      registers,
    });
    this.#activeTasks = new client.Gauge({
      name: 'task_storage_active_tasks',
      help: 'Tasks that are pending or running, of all replicas; absent when the storage did not answer.',
      registers,
    });
    this.#retentionDeleted = new client.Counter({
      name: 'task_retention_deleted_total',
      help: 'Ended tasks that this process deleted because of their age, by status.',
      labelNames: ['status'],
      registers,
    });
    this.#retentionRuns = new client.Counter({
      name: 'task_retention_runs_total',
      help: 'Retention runs of this process, by outcome.',
      labelNames: ['outcome'],
      registers,
    });
    // A counter that appears only when it first counts hides that first step from rate().
    TERMINAL_STATUSES.forEach((status) => this.#retentionDeleted.inc({ status }, 0));
    RETENTION_OUTCOMES.forEach((outcome) => this.#retentionRuns.inc({ outcome }, 0));
  }

  /** @throws {ConfigurationError} when `prom-client` is not installed */
  static async create(storage: Pick<TaskOperations, 'countActiveTasks'>): Promise<TaskMetrics> {
    const client = await loadOptionalPackage(
      'prom-client',
      'ENABLE_PROMETHEUS',
      async () => import('prom-client'),
    );
    return new TaskMetrics(client, storage);
  }

  /** The media type of {@link read}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** @returns every metric as of now, in the text format of Prometheus */
  async read(): Promise<string> {
    await this.#askStorage();
    return this.#registry.metrics();
  }

  /** Counts a retention run; a dry run deleted nothing. */
  recordRetentionRun({ outcome, deletedByStatus, dryRun }: RetentionRun): void {
    this.#retentionRuns.inc({ outcome });
    if (!dryRun) {
      TERMINAL_STATUSES.forEach((status) => {
        this.#retentionDeleted.inc({ status }, deletedByStatus[status]);
      });
    }
  }

  async #askStorage(): Promise<void> {
    try {
      this.#activeTasks.set(await this.storage.countActiveTasks());
      this.#storageUp.set(1);
    } catch (error) {
      // Reset would make it 0, which is a number of tasks.
      this.#activeTasks.remove();
      this.#storageUp.set(0);
      this.#logger.debug(`The storage does not answer: ${String(error)}`);
    }
  }
}
