import { fileURLToPath } from 'node:url';
import {
  credentials,
  loadPackageDefinition,
  Metadata,
  status,
  type Client,
  type ClientReadableStream,
  type GrpcObject,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { SeenEvent } from './evidence.js';

/** Longer than a replica is stalled, so that what a stall delays is answered all the same. */
const CALL_LIMIT_MS = 20_000;

const packages = loadPackageDefinition(
  loadSync(['lybic/agent/agent.proto', 'nestjs_task_storage/v1/task_service.proto'], {
    includeDirs: [fileURLToPath(new URL('../../src/agent/proto/', import.meta.url))],
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
  }),
);

/** Gets each event of a stream. @returns `false` to cut the stream */
export type OnEvent = (event: SeenEvent, taskId: string) => boolean;

/** How a stream ended that did not fail. */
export type StreamEnd = 'service' | 'client';

interface TaskStream {
  readonly taskId: string;
  readonly stage: string;
  readonly message: string;
}

interface TaskEvent {
  readonly task_id: string;
  readonly sequence: number;
  readonly stage: string;
  readonly message: string;
}

type Unary = (
  request: object,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, answer: unknown) => void,
) => void;
type ServerStream = (request: object, metadata: Metadata) => ClientReadableStream<unknown>;

function newClient(serviceName: string, address: string): Client {
  const found = serviceName
    .split('.')
    .reduce<unknown>((at, name) => (at as GrpcObject)[name], packages);
  return new (found as ServiceClientConstructor)(address, credentials.createInsecure());
}

function keyed(idempotencyKey: string): Metadata {
  const metadata = new Metadata();
  metadata.set('idempotency-key', idempotencyKey);
  return metadata;
}

function pass({ taskId, stage, message }: TaskStream, onEvent: OnEvent): boolean {
  return onEvent({ sequence: null, stage, message }, taskId);
}

/** Whether the call failed with this status. */
export function failedWith(error: unknown, ...codes: readonly status[]): error is ServiceError {
  return error instanceof Error && 'code' in error && codes.includes(error.code as status);
}

/** Whether the call may have been carried out, or not: its connection is lost. */
export function isLostConnection(error: unknown): boolean {
  return (
    failedWith(error, status.UNAVAILABLE, status.DEADLINE_EXCEEDED) ||
    // So grpc-js reports a stream that the other side has reset while it died.
    (failedWith(error, status.INTERNAL, status.CANCELLED) &&
      /RST_STREAM|connection|socket|ECONNRESET/i.test(error.details))
  );
}

/** A client of one start of one replica. */
export class ReplicaClient {
  readonly #agent: Client;
  readonly #tasks: Client;

  constructor(
    readonly replica: string,
    address: string,
  ) {
    this.#agent = newClient('lybic.agent.Agent', address);
    this.#tasks = newClient('nestjs_task_storage.v1.TaskService', address);
  }

  /** Resolves when the replica answers. */
  async ready(limitMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#agent.waitForReady(Date.now() + limitMs, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
  }

  /** @returns the id of the task */
  async submit(instruction: string, idempotencyKey: string): Promise<string> {
    const call = Reflect.get(this.#agent, 'RunAgentInstructionAsync') as Unary;
    const answer = await this.#ask(call, { instruction }, keyed(idempotencyKey));
    return (answer as { taskId: string }).taskId;
  }

  /** @returns whether the task is cancelled now */
  async cancel(taskId: string): Promise<boolean> {
    const call = Reflect.get(this.#agent, 'CancelTask') as Unary;
    return ((await this.#ask(call, { taskId }, new Metadata())) as { success: boolean }).success;
  }

  /** Submits a task and streams its stages. Each stream is read as {@link readStream} says. */
  async run(
    instruction: string,
    idempotencyKey: string,
    onEvent: OnEvent,
    signal: AbortSignal,
  ): Promise<StreamEnd> {
    const open = Reflect.get(this.#agent, 'RunAgentInstruction') as ServerStream;
    const call = open.call(this.#agent, { instruction }, keyed(idempotencyKey));
    return readStream(call, (message) => pass(message as TaskStream, onEvent), signal);
  }

  /** Streams all stages of a task, from the first on. */
  async replay(taskId: string, onEvent: OnEvent, signal: AbortSignal): Promise<StreamEnd> {
    const open = Reflect.get(this.#agent, 'GetAgentTaskStream') as ServerStream;
    const call = open.call(this.#agent, { taskId }, new Metadata());
    return readStream(
      call,
      (message) => pass((message as { taskStream: TaskStream }).taskStream, onEvent),
      signal,
    );
  }

  /** Streams the events of a task after a sequence. */
  async watch(
    taskId: string,
    afterSequence: number,
    onEvent: OnEvent,
    signal: AbortSignal,
  ): Promise<StreamEnd> {
    const open = Reflect.get(this.#tasks, 'WatchTask') as ServerStream;
    const request = { task_id: taskId, after_sequence: afterSequence };
    const call = open.call(this.#tasks, request, new Metadata());
    const onMessage = (message: unknown): boolean => {
      const { task_id: id, sequence, stage, message: words } = message as TaskEvent;
      return onEvent({ sequence, stage, message: words }, id);
    };
    return readStream(call, onMessage, signal);
  }

  close(): void {
    this.#agent.close();
    this.#tasks.close();
  }

  async #ask(call: Unary, request: object, metadata: Metadata): Promise<unknown> {
    const options = { deadline: Date.now() + CALL_LIMIT_MS };
    return new Promise((resolve, reject) => {
      call.call(this.#agent, request, metadata, options, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  }
}

/**
 * Reads a stream until the service ends it, the signal is aborted, or `onMessage` says `false`: then
 * it cuts the call, whatever is still under way. Rejects with the status of a call that failed.
 */
async function readStream(
  call: ClientReadableStream<unknown>,
  onMessage: (message: unknown) => boolean,
  signal: AbortSignal,
): Promise<StreamEnd> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const cut = (): void => {
      isOver = true;
      call.cancel();
      resolve('client');
    };
    signal.addEventListener('abort', cut, { once: true });
    call.on('data', (message: unknown) => {
      if (!isOver && !onMessage(message)) {
        cut();
      }
    });
    call.on('end', () => resolve('service'));
    call.on('error', reject);
    for (const over of ['end', 'error']) {
      call.on(over, () => signal.removeEventListener('abort', cut));
    }
    if (signal.aborted) {
      cut();
    }
  });
}
