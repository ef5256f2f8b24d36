import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { orHung, type CallAnswer, type CallLog } from './call-log.js';
import type { AppendRecord, CallOutcome } from './records.js';
import { ANSWER_LIMITS_MS } from './world.js';

type PostgresModule = typeof import('../../src/storage/typeorm/index.js');

const PAUSE_MS = 50;
/** A log that grows without end would be read whole by each check. */
const EVENTS_PER_TASK = 200;

/** The longest that each operation may take. */
const LIMITS_MS = {
  createTask: ANSWER_LIMITS_MS.single,
  appendEvents: ANSWER_LIMITS_MS.single,
  /** Reads the task, makes it running, and ends it. */
  endTask: ANSWER_LIMITS_MS.triple,
} as const;

type Operation = keyof typeof LIMITS_MS;

const ACKNOWLEDGED: CallAnswer = { outcome: 'acknowledged', detail: '' };

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
    private readonly appends: AppendRecord[],
    private readonly log: CallLog,
    private readonly patienceMs: number,
  ) {}

  /** @param patienceMs after so long a call counts as hung */
  static async open(
    options: AppenderOptions,
    appends: AppendRecord[],
    log: CallLog,
    patienceMs: number,
  ): Promise<Appender> {
    const { dist, ...rest } = options;
    const url = pathToFileURL(join(dist, 'storage/typeorm/index.js')).href;
    const { createPostgresTaskStorage } = (await import(url)) as PostgresModule;
    return new Appender(await createPostgresTaskStorage(rest), appends, log, patienceMs);
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
      await this.#insist('createTask', async () =>
        this.storage.createTask({ taskId, query: taskId, maxSteps: 1 }),
      );
      for (let event = 0; event < EVENTS_PER_TASK && !this.#isStopping; event += 1) {
        await this.#append(taskId);
        await delay(PAUSE_MS);
      }
      await this.#insist('endTask', async () => this.#end(taskId));
    }
  }

  async #append(taskId: string): Promise<void> {
    this.#written += 1;
    const name = `event ${this.#written}`;
    const outcome = await this.#call('appendEvents', async () =>
      this.storage.appendEvents(taskId, [{ stage: name, message: '' }]),
    );
    this.appends.push({ taskId, name, outcome });
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

  /** Repeats it until it is acknowledged. */
  async #insist(operation: Operation, work: () => Promise<unknown>): Promise<void> {
    while ((await this.#call(operation, work)) !== 'acknowledged') {
      await delay(PAUSE_MS);
    }
  }

  async #call(operation: Operation, work: () => Promise<unknown>): Promise<CallOutcome> {
    const limitMs = LIMITS_MS[operation];
    const { outcome } = await this.log.record(
      { operation, through: 'storage', isWrite: true, limitMs },
      async () =>
        orHung(
          work().then(() => ACKNOWLEDGED, failureOf),
          this.patienceMs,
        ),
    );
    return outcome;
  }
}

function failureOf(error: unknown): CallAnswer {
  return { outcome: outcomeOf(error), detail: String(error) };
}

function outcomeOf(error: unknown): CallOutcome {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'UNAVAILABLE') {
    return 'untyped';
  }
  return error.name === 'OutcomeUnknownError' ? 'unknown' : 'refused';
}
