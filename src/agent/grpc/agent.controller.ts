import { hostname } from 'node:os';
import { Controller, Inject, UseFilters } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import type { TaskOperations } from '../../task/task-storage.js';
import { AGENT_SETTINGS, type AgentSettings } from '../agent-options.js';
import { TaskNotFoundError } from '../agent-errors.js';
import { assertCaller } from '../auth/callers.js';
import { TaskScopes } from '../auth/task-scopes.js';
import { readPackageVersion } from '../package-version.js';
import { StreamLimit } from '../limits/stream-limit.js';
import { TaskFollower } from '../supervisor/task-follower.js';
import { TaskSupervisor } from '../supervisor/task-supervisor.js';
import { runAgentInstructionSchema, taskIdSchema } from '../wire/agent-requests.js';
import {
  toCancelTaskResponse,
  toQueryTaskStatusResponse,
  toTaskStream,
  unknownTaskResponse,
  type CancelTaskResponse,
  type QueryTaskStatusResponse,
  type TaskStream,
} from '../wire/agent-responses.js';
import { emptyRequestSchema, parseRequest } from '../wire/request-parsing.js';
import { isTaskId } from '../wire/task-id.js';
import { GrpcExceptionFilter } from './grpc-exception.filter.js';
import { parseIdempotencyKey } from './idempotency-key.js';
import { InstructionStream } from './instruction-stream.js';
import { AGENT_SERVICE } from './proto-files.js';
import { streamAnswer, type StreamCall } from './stream-answer.js';

/** The RPCs of `lybic.agent.Agent` that run, follow and cancel tasks. */
@Controller()
@UseFilters(GrpcExceptionFilter)
export class AgentController {
  readonly #version = readPackageVersion();

  constructor(
    private readonly scopes: TaskScopes,
    @Inject(AGENT_SETTINGS) private readonly settings: AgentSettings,
    private readonly supervisor: TaskSupervisor,
    private readonly follower: TaskFollower,
    private readonly instructions: InstructionStream,
    private readonly streams: StreamLimit,
  ) {}

  @GrpcMethod(AGENT_SERVICE, 'GetAgentInfo')
  getAgentInfo(request: unknown, metadata: unknown) {
    assertCaller(metadata);
    parseRequest(emptyRequestSchema, request);
    return {
      version: this.#version,
      maxConcurrentTasks: this.settings.maxTasks,
      log_level: this.settings.logLevel,
      domain: hostname(),
    };
  }

  @GrpcMethod(AGENT_SERVICE, 'RunAgentInstruction')
  runAgentInstruction(
    request: unknown,
    metadata: unknown,
    call: StreamCall,
  ): Observable<TaskStream> {
    const instruction = parseRequest(runAgentInstructionSchema, request);
    const key = parseIdempotencyKey(metadata);
    const scope = this.scopes.of(metadata);
    return streamAnswer(call, (ended) =>
      this.streams.limited(() => this.instructions.run(scope, instruction, key, ended)),
    );
  }

  @GrpcMethod(AGENT_SERVICE, 'RunAgentInstructionAsync')
  async runAgentInstructionAsync(request: unknown, metadata: unknown): Promise<{ taskId: string }> {
    const instruction = parseRequest(runAgentInstructionSchema, request);
    const key = parseIdempotencyKey(metadata);
    const { taskId } = await this.supervisor.submit(this.scopes.of(metadata), instruction, key);
    return { taskId };
  }

  @GrpcMethod(AGENT_SERVICE, 'GetAgentTaskStream')
  getAgentTaskStream(
    request: unknown,
    metadata: unknown,
    call: StreamCall,
  ): Observable<{ taskStream: TaskStream }> {
    const { taskId } = parseRequest(taskIdSchema, request);
    const { tasks } = this.scopes.of(metadata);
    return streamAnswer(call, (ended) =>
      this.streams.limited(() => this.#stages(tasks, taskId, ended)),
    );
  }

  @GrpcMethod(AGENT_SERVICE, 'QueryTaskStatus')
  async queryTaskStatus(request: unknown, metadata: unknown): Promise<QueryTaskStatusResponse> {
    const { taskId } = parseRequest(taskIdSchema, request);
    const { tasks } = this.scopes.of(metadata);
    const task = isTaskId(taskId) ? await tasks.getTask(taskId, { view: 'summary' }) : null;
    return task === null ? unknownTaskResponse(taskId) : toQueryTaskStatusResponse(task);
  }

  @GrpcMethod(AGENT_SERVICE, 'CancelTask')
  async cancelTask(request: unknown, metadata: unknown): Promise<CancelTaskResponse> {
    const { taskId } = parseRequest(taskIdSchema, request);
    const scope = this.scopes.of(metadata);
    return toCancelTaskResponse(
      taskId,
      isTaskId(taskId) ? await this.supervisor.cancel(scope, taskId) : { kind: 'unknown' },
    );
  }

  async *#stages(
    tasks: TaskOperations,
    taskId: string,
    ended: AbortSignal,
  ): AsyncGenerator<{ taskStream: TaskStream }, void, undefined> {
    if (!isTaskId(taskId)) {
      throw new TaskNotFoundError(taskId);
    }
    for await (const event of this.follower.follow(tasks, taskId, 0, ended)) {
      yield { taskStream: toTaskStream(event) };
    }
  }
}
