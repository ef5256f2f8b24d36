import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../cluster/random.js';
import type { RecordingClient } from './client.js';
import {
  CALL_PATHS,
  hasWrittenBetween,
  type ClientRecords,
  type SubmissionRecord,
} from './records.js';

const SUBMITTERS = 4;
const PAUSE_MS = [40, 160] as const;
/** In percent: what a client does with a task that was refused, and with one that it has. */
const GIVES_UP = 25;
const WAITS = 20;
const CANCELS = 15;
const DELETES = 15;
const PAGE_SIZE = 20;

/** Clients that submit, ask, list, cancel, delete and configure without a pause for faults. */
export class Load {
  readonly #stopping = new AbortController();
  readonly #known: string[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #count = 0;

  constructor(
    private readonly records: ClientRecords,
    private readonly connect: () => RecordingClient,
    private readonly random: Random,
  ) {}

  start(): void {
    const submitters = Array.from({ length: SUBMITTERS }, async (_, index) =>
      this.#loop(`submitter ${index}`, async (client, random) => this.#submit(client, random)),
    );
    this.#running = Promise.all([
      ...submitters,
      this.#loop('asker', async (client, random) => this.#ask(client, random)),
      this.#loop('lister', async (client) => this.#list(client)),
      this.#loop('configurer', async (client) => this.#configure(client)),
    ]);
  }

  /** Lets every client settle what it does not know. The database must be well by then. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Whether on each path a write that was begun after that moment has been acknowledged. */
  hasWrittenSince(sinceMs: number): boolean {
    return CALL_PATHS.every((path) => hasWrittenBetween(this.records, path, sinceMs));
  }

  async #loop(
    name: string,
    work: (client: RecordingClient, random: Random) => Promise<void>,
  ): Promise<void> {
    const random = this.random.derive(name);
    const client = this.connect();
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await work(client, random);
      await this.#pause(random);
    }
    client.close();
  }

  async #pause(random: Random): Promise<void> {
    const { signal } = this.#stopping;
    await delay(random.integer(...PAUSE_MS), undefined, { signal }).catch(() => undefined);
  }

  async #submit(client: RecordingClient, random: Random): Promise<void> {
    this.#count += 1;
    const verb = random.happens(WAITS) ? 'wait' : 'work';
    const submission: SubmissionRecord = {
      instruction: `${verb} ${this.#count}`,
      outcomes: [],
      taskIds: new Set(),
    };
    this.records.submissions.push(submission);
    const givesUp = random.happens(GIVES_UP);
    const taskId = await this.#settle(client, random, submission, givesUp);
    if (taskId === null) {
      return;
    }
    if (random.happens(CANCELS) || verb === 'wait') {
      await this.#cancel(client, taskId);
    }
    if (random.happens(DELETES)) {
      await this.#delete(client, taskId);
    } else {
      this.#known.push(taskId);
    }
  }

  /** Repeats a submission under its key. Who gives up does so only if nothing was done for certain. */
  async #settle(
    client: RecordingClient,
    random: Random,
    { instruction, outcomes, taskIds }: SubmissionRecord,
    givesUp: boolean,
  ): Promise<string | null> {
    for (;;) {
      const request = { instruction };
      const { outcome, answer } = await client.agent(
        'RunAgentInstructionAsync',
        request,
        true,
        instruction,
      );
      outcomes.push(outcome);
      if (answer !== null) {
        taskIds.add(answer.taskId);
        if (outcomes.length === 1 || outcomes.length > 20) {
          return answer.taskId;
        }
        // What was settled is settled: the same key names the same task once more.
        const again = await client.agent('RunAgentInstructionAsync', request, true, instruction);
        if (again.answer !== null) {
          taskIds.add(again.answer.taskId);
        }
        return answer.taskId;
      }
      const isDoneWith = givesUp || this.#stopping.signal.aborted;
      if (isDoneWith && outcomes.every((one) => one === 'refused')) {
        return null;
      }
      await delay(random.integer(...PAUSE_MS));
    }
  }

  async #cancel(client: RecordingClient, taskId: string): Promise<void> {
    const { outcome, answer } = await client.agent('CancelTask', { taskId }, true);
    const isCancelled = outcome === 'acknowledged' && answer !== null && 'success' in answer;
    if (outcome !== 'acknowledged' || (isCancelled && answer.success === true)) {
      this.records.cancels.push({ name: taskId, outcome });
    }
  }

  async #delete(client: RecordingClient, taskId: string): Promise<void> {
    const { outcome, reason } = await client.tasks('DeleteTask', { task_id: taskId }, true);
    // A try before that nobody knows of may have done it; there was none.
    this.records.deletes.push({ name: taskId, outcome });
    if (outcome === 'refused' && reason !== '') {
      this.#known.push(taskId);
    }
  }

  async #ask(client: RecordingClient, random: Random): Promise<void> {
    if (this.#known.length === 0) {
      return;
    }
    const taskId = random.pick(this.#known.slice(-50));
    const { answer } = await client.agent('QueryTaskStatus', { taskId }, false);
    if (answer?.status === 'NOT_FOUND') {
      this.records.denied.push(taskId);
    }
  }

  async #list(client: RecordingClient): Promise<void> {
    await client.tasks('ListTasks', { page_size: PAGE_SIZE }, false);
  }

  async #configure(client: RecordingClient): Promise<void> {
    const steps = this.records.configs.length + 1;
    const request = { commonConfig: { id: 'global', steps } };
    const { outcome } = await client.agent('SetGlobalCommonConfig', request, true);
    this.records.configs.push({ steps, outcome });
  }
}
