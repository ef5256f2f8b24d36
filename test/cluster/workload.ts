import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { Cluster } from './cluster.js';
import type {
  CancelRecord,
  FollowRecord,
  SeenEvent,
  SeenStream,
  SubmissionRecord,
} from './evidence.js';
import type { Random } from './random.js';
import {
  failedWith,
  isLostConnection,
  type OnEvent,
  type ReplicaClient,
  type StreamEnd,
} from './replica-client.js';
import type { PlannedFollow, PlannedTask } from './workload-plan.js';

const RETRY_MS = 50;
/** Clients that a full service turned away come again together, so that they race for the place. */
const RETRY_WHEN_FULL_EVERY_MS = 120;

/** What the clients of a phase have done and seen. */
export class WorkloadRecords {
  readonly submissions: SubmissionRecord[] = [];
  readonly follows: FollowRecord[] = [];
  readonly cancels: CancelRecord[] = [];
  readonly failures: string[] = [];
  /** Submissions repeated because nobody knew what had become of them. */
  resubmits = 0;
  /** Submissions that a full service turned away. */
  turnedAway = 0;
  /** Streams that were opened again, by will and after a loss. */
  reconnects = 0;
}

/** Clients that submit, follow and cancel the planned tasks, each call through any replica. */
export class Workload {
  readonly records = new WorkloadRecords();

  constructor(
    private readonly cluster: Cluster,
    private readonly random: Random,
    /** Aborted when the phase takes too long. */
    private readonly signal: AbortSignal,
  ) {}

  /** So many clients at once work through the plan. Resolves when the last task has ended. */
  async run(plan: readonly PlannedTask[], clients: number): Promise<void> {
    const left = [...plan];
    const client = async (): Promise<void> => {
      for (let task = left.shift(); task !== undefined; task = left.shift()) {
        await this.#carryOut(task);
      }
    };
    await Promise.all(Array.from({ length: clients }, client));
  }

  /** Never rejects: what goes wrong is a finding. */
  async #carryOut(task: PlannedTask): Promise<void> {
    const random = this.random.derive(`client of task ${task.number}`);
    try {
      await (task.isStreamed ? this.#runStreamed(task, random) : this.#submit(task, random));
    } catch (error) {
      this.records.failures.push(`"${task.instruction}" went wrong: ${String(error)}`);
    }
  }

  async #submit(task: PlannedTask, random: Random): Promise<void> {
    const taskIds: string[] = [];
    this.records.submissions.push({ instruction: task.instruction, taskIds });
    const taskId = await this.#untilAnswered(
      random,
      async (replica) => replica.submit(task.instruction, task.idempotencyKey),
      () => (this.records.resubmits += 1),
    );
    taskIds.push(taskId);
    await this.#accompany(task, taskId, random);
  }

  /** A client that gets the stages as the answer to its submission. */
  async #runStreamed(task: PlannedTask, random: Random): Promise<void> {
    const taskIds: string[] = [];
    this.records.submissions.push({ instruction: task.instruction, taskIds });
    let accompanied: Promise<void> | undefined;
    const streams: SeenStream[] = [];
    await this.#untilAnswered(
      random,
      async (replica) => {
        const events: SeenEvent[] = [];
        const onEvent: OnEvent = (event, taskId) => {
          if (events.length === 0) {
            taskIds.push(taskId);
          }
          events.push(event);
          if (accompanied === undefined) {
            accompanied = this.#accompany(task, taskId, random.derive('company'));
            // It is awaited when the stream is over, and may fail before.
            accompanied.catch(() => undefined);
          }
          return true;
        };
        const { instruction, idempotencyKey } = task;
        await this.#keepStream(streams, events, async () =>
          replica.run(instruction, idempotencyKey, onEvent, this.signal),
        );
      },
      () => (this.records.resubmits += 1),
    );
    const follower = `The submitter of job ${task.number}`;
    const taskId = taskIds[0] ?? '';
    this.records.follows.push({ follower, taskId, kind: 'starts-over', streams });
    await accompanied;
  }

  /** Follows and cancels a task that was submitted. */
  async #accompany(task: PlannedTask, taskId: string, random: Random): Promise<void> {
    await Promise.all([
      ...task.follows.map(async (follow, index) => {
        const follower = `Follower ${index + 1} of job ${task.number}`;
        await this.#follow(follow, follower, taskId, random.derive(follower));
      }),
      ...task.cancelsAfterMs.map(async (afterMs, index) =>
        this.#cancel(taskId, afterMs, random.derive(`cancel ${index}`)),
      ),
    ]);
  }

  async #follow(
    { kind, cutsAfterEvents }: PlannedFollow,
    follower: string,
    taskId: string,
    random: Random,
  ): Promise<void> {
    const streams: SeenStream[] = [];
    this.records.follows.push({ follower, taskId, kind, streams });
    const cuts = [...cutsAfterEvents];
    let lastSequence = 0;
    const connect = async (replica: ReplicaClient): Promise<StreamEnd> => {
      const cutAfter = cuts.shift() ?? Infinity;
      const events: SeenEvent[] = [];
      const onEvent: OnEvent = (event) => {
        events.push(event);
        lastSequence = event.sequence ?? lastSequence;
        return events.length < cutAfter;
      };
      return this.#keepStream(streams, events, async () =>
        kind === 'goes-on'
          ? replica.watch(taskId, lastSequence, onEvent, this.signal)
          : replica.replay(taskId, onEvent, this.signal),
      );
    };
    const reconnecting = (): void => {
      this.records.reconnects += 1;
    };
    while ((await this.#untilAnswered(random, connect, reconnecting)) !== 'service') {
      reconnecting();
    }
  }

  /** Adds what the stream showed to the record, however it ends. */
  async #keepStream(
    streams: SeenStream[],
    events: readonly SeenEvent[],
    read: () => Promise<StreamEnd>,
  ): Promise<StreamEnd> {
    try {
      const endedBy = await read();
      streams.push({ events, endedBy });
      return endedBy;
    } catch (error) {
      if (!failedWith(error, status.RESOURCE_EXHAUSTED)) {
        streams.push({ events, endedBy: 'loss' });
      }
      throw error;
    }
  }

  async #cancel(taskId: string, afterMs: number, random: Random): Promise<void> {
    await delay(afterMs, undefined, { signal: this.signal });
    let askedAtMs = 0;
    const keep = (answer: CancelRecord['answer']): void => {
      this.records.cancels.push({ taskId, askedAtMs, answeredAtMs: Date.now(), answer });
    };
    await this.#untilAnswered(
      random,
      async (replica) => {
        askedAtMs = Date.now();
        keep((await replica.cancel(taskId)) ? 'cancelled' : 'refused');
      },
      () => keep('unknown'),
    );
  }

  /** Asks one replica after another until one answers. What the answer refuses is rejected. */
  async #untilAnswered<T>(
    random: Random,
    ask: (replica: ReplicaClient) => Promise<T>,
    onLoss: () => void,
  ): Promise<T> {
    for (;;) {
      this.signal.throwIfAborted();
      const replica = await this.cluster.pick(random, this.signal);
      try {
        return await ask(replica);
      } catch (error) {
        if (isLostConnection(error)) {
          onLoss();
          await delay(RETRY_MS, undefined, { signal: this.signal });
        } else if (failedWith(error, status.RESOURCE_EXHAUSTED)) {
          this.records.turnedAway += 1;
          const untilNextMs = RETRY_WHEN_FULL_EVERY_MS - (Date.now() % RETRY_WHEN_FULL_EVERY_MS);
          await delay(untilNextMs, undefined, { signal: this.signal });
        } else {
          throw error;
        }
      }
    }
  }
}
