import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import type { TaskStorage } from '../../src/task/task-storage.js';
import type { CallOutcome, ClientRecords } from './records.js';
import type { StallDetector } from './stalls.js';
import { ANSWER_LIMITS_MS } from './world.js';

type PostgresModule = typeof import('../../src/storage/typeorm/index.js');

const PAUSE_MS = 50;
/** A log that grows without end would be read whole by each check. */
const EVENTS_PER_TASK = 200;

/** How the storage of the appender is opened. */
export interface AppenderOptions {
  /** The build under test. */
  readonly dist: string;
  readonly connectionString: string;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

/**
 * Uses the storage itself, through the same line as the service: no key settles what it writes, so
 * that each event tells whether the storage knew what it said about it.
 */
export class Appender {
  #isStopping = false;
  #running: Promise<void> = Promise.resolve();
  #written = 0;

  private constructor(
    private readonly storage: TaskStorage,
    private readonly records: ClientRecords,
    private readonly stalls: StallDetector,
  ) {}

  static async open(
    options: AppenderOptions,
    records: ClientRecords,
    stalls: StallDetector,
  ): Promise<Appender> {
    const { dist, ...rest } = options;
    const url = pathToFileURL(join(dist, 'storage/typeorm/index.js')).href;
    const { createPostgresTaskStorage } = (await import(url)) as PostgresModule;
    return new Appender(await createPostgresTaskStorage(rest), records, stalls);
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
    await this.storage.close();
  }

  async #run(): Promise<void> {
    for (let task = 1; !this.#isStopping; task += 1) {
      const taskId = `appended-${task}`;
      await this.#insist(async () =>
        this.storage.createTask({ taskId, query: taskId, maxSteps: 1 }),
      );
      for (let event = 0; event < EVENTS_PER_TASK && !this.#isStopping; event += 1) {
        await this.#append(taskId);
        await delay(PAUSE_MS);
      }
      await this.#insist(async () => this.#end(taskId));
    }
  }

  async #append(taskId: string): Promise<void> {
    this.#written += 1;
    const name = `event ${this.#written}`;
    const startedMs = performance.now();
    const { outcome, detail } = await this.storage
      .appendEvents(taskId, [{ stage: name, message: '' }])
      .then(
        () => ({ outcome: 'acknowledged' as const, detail: '' }),
        (error: unknown) => ({ outcome: outcomeOf(error), detail: String(error) }),
      );
    this.records.appends.push({ taskId, name, outcome });
    this.records.calls.push({
      operation: 'appendEvents',
      through: 'storage',
      isWrite: true,
      outcome,
      detail,
      startedMs,
      durationMs: performance.now() - startedMs - this.stalls.stalledSince(startedMs),
      limitMs: ANSWER_LIMITS_MS.single,
    });
  }

  async #end(taskId: string): Promise<void> {
    const task = await this.storage.getTask(taskId);
    if (task?.status === 'pending') {
      await this.storage.updateTask(taskId, { status: 'running' });
    }
    if (task?.status === 'pending' || task?.status === 'running') {
      const event = { stage: 'finished', message: '' };
      await this.storage.updateTask(taskId, { status: 'finished' }, { events: [event] });
    }
  }

  async #insist(work: () => Promise<unknown>): Promise<void> {
    while (
      !(await work().then(
        () => true,
        () => false,
      ))
    ) {
      await delay(PAUSE_MS);
    }
  }
}

function outcomeOf(error: unknown): CallOutcome {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'UNAVAILABLE') {
    return 'untyped';
  }
  return error.name === 'OutcomeUnknownError' ? 'unknown' : 'refused';
}
