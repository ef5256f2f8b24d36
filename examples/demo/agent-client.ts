import { fileURLToPath } from 'node:url';
import {
  credentials,
  loadPackageDefinition,
  type Client,
  type ClientReadableStream,
  type GrpcObject,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const CALL_LIMIT_MS = 60_000;

/** A stage of a task, as the service streams it. */
export interface Stage {
  readonly taskId: string;
  readonly stage: string;
  readonly message: string;
  readonly at: Date;
}

/** What `QueryTaskStatus` answers. */
export interface TaskState {
  readonly status: string;
  readonly message: string;
  readonly result: string;
  readonly executionStatistics: { readonly steps: number } | null;
}

/** What to run. */
export interface Instruction {
  readonly instruction: string;
  readonly steps: number;
  readonly previousTaskId?: string;
}

interface TaskStream extends Omit<Stage, 'at'> {
  readonly timestamp: { readonly seconds: string; readonly nanos: number };
}

type Unary = (
  request: object,
  options: { deadline: number },
  callback: (error: Error | null, response: unknown) => void,
) => void;
type ServerStream = (
  request: object,
  options: { deadline: number },
) => ClientReadableStream<unknown>;

function loadProtoFiles(): GrpcObject {
  return loadPackageDefinition(
    loadSync(['lybic/agent/agent.proto', 'nestjs_task_storage/v1/task_service.proto'], {
      includeDirs: [fileURLToPath(new URL('../../dist/agent/proto/', import.meta.url))],
      keepCase: true,
      longs: String,
      enums: String,
      defaults: true,
      oneofs: true,
    }),
  );
}

function serviceNamed(name: string, packages: GrpcObject): ServiceClientConstructor {
  let found: unknown = packages;
  for (const part of name.split('.')) {
    found = (found as GrpcObject)[part];
  }
  return found as ServiceClientConstructor;
}

function stageOf({ timestamp, ...stage }: TaskStream): Stage {
  const milliseconds = Number(timestamp.seconds) * 1000 + timestamp.nanos / 1_000_000;
  return { ...stage, at: new Date(milliseconds) };
}

/** A plain gRPC client, as any program in any language would have one. */
export class AgentClient {
  readonly #agent: Client;
  readonly #tasks: Client;

  constructor(address: string) {
    const packages = loadProtoFiles();
    const Agent = serviceNamed('lybic.agent.Agent', packages);
    const TaskService = serviceNamed('nestjs_task_storage.v1.TaskService', packages);
    this.#agent = new Agent(address, credentials.createInsecure());
    this.#tasks = new TaskService(address, credentials.createInsecure());
  }

  /** Resolves when the service answers. */
  async ready(limitMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#agent.waitForReady(Date.now() + limitMs, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
  }

  /** Runs a task and streams its stages. */
  async *run({ instruction, steps, previousTaskId }: Instruction): AsyncGenerator<Stage> {
    const request = { instruction, runningConfig: { steps }, previousTaskId };
    for await (const message of this.#stream('RunAgentInstruction', request)) {
      yield stageOf(message as TaskStream);
    }
  }

  /** Starts a task. @returns its id, at once */
  async start({ instruction, steps }: Instruction): Promise<string> {
    const request = { instruction, runningConfig: { steps } };
    const response = await this.#call(this.#agent, 'RunAgentInstructionAsync', request);
    return (response as { taskId: string }).taskId;
  }

  /** Streams all stages of a task, from the first on. */
  async *follow(taskId: string): AsyncGenerator<Stage> {
    for await (const message of this.#stream('GetAgentTaskStream', { taskId })) {
      yield stageOf((message as { taskStream: TaskStream }).taskStream);
    }
  }

  async state(taskId: string): Promise<TaskState> {
    return (await this.#call(this.#agent, 'QueryTaskStatus', { taskId })) as TaskState;
  }

  /** @returns whether the task is cancelled now */
  async cancel(taskId: string): Promise<boolean> {
    const response = await this.#call(this.#agent, 'CancelTask', { taskId });
    return (response as { success: boolean }).success;
  }

  /** @returns how the task ended, in a word; the original service's RPCs do not tell */
  async finalState(taskId: string): Promise<string> {
    const response = await this.#call(this.#tasks, 'GetTask', { task_id: taskId });
    return (response as { final_state: string }).final_state;
  }

  close(): void {
    this.#agent.close();
    this.#tasks.close();
  }

  #stream(method: string, request: object): ClientReadableStream<unknown> {
    const call = (this.#agent as unknown as Record<string, ServerStream>)[method];
    if (call === undefined) {
      throw new Error(`The proto file has no ${method}`);
    }
    return call.call(this.#agent, request, { deadline: Date.now() + CALL_LIMIT_MS });
  }

  async #call(client: Client, method: string, request: object): Promise<unknown> {
    const call = (client as unknown as Record<string, Unary>)[method];
    return new Promise((resolve, reject) => {
      call?.call(client, request, { deadline: Date.now() + CALL_LIMIT_MS }, (error, response) =>
        error === null ? resolve(response) : reject(error),
      );
    });
  }
}
