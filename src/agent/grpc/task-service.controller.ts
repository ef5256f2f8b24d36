import { Controller, UseFilters } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import { InvalidTaskError } from '../../task/errors.js';
import type { TaskOperations } from '../../task/task-storage.js';
import { InvalidRequestError, TaskNotFoundError } from '../agent-errors.js';
import { TaskScopes } from '../auth/task-scopes.js';
import { StreamLimit } from '../limits/stream-limit.js';
import { TaskFollower } from '../supervisor/task-follower.js';
import { TaskSupervisor } from '../supervisor/task-supervisor.js';
import { emptyRequestSchema, parseRequest } from '../wire/request-parsing.js';
import {
  cleanupOldTasksSchema,
  listTasksSchema,
  taskRequestSchema,
  toWireTask,
  toWireTaskEvent,
  toWireTaskPage,
  watchTaskSchema,
  type WireTask,
  type WireTaskEvent,
  type WireTaskPage,
} from '../wire/task-service-messages.js';
import { GrpcExceptionFilter } from './grpc-exception.filter.js';
import { TASK_SERVICE } from './proto-files.js';
import { streamAnswer, type StreamCall } from './stream-answer.js';
import { UnreadableTaskLog } from './unreadable-task-log.js';

/** The RPCs of `nestjs_task_storage.v1.TaskService`. */
@Controller()
@UseFilters(GrpcExceptionFilter)
export class TaskServiceController {
  readonly #unreadableLog = new UnreadableTaskLog();

  constructor(
    private readonly scopes: TaskScopes,
    private readonly supervisor: TaskSupervisor,
    private readonly follower: TaskFollower,
    private readonly streams: StreamLimit,
  ) {}

  @GrpcMethod(TASK_SERVICE, 'GetTask')
  async getTask(request: unknown, metadata: unknown): Promise<WireTask> {
    const { task_id: taskId } = parseRequest(taskRequestSchema, request);
    const task = await this.scopes.of(metadata).tasks.getTask(taskId);
    if (task === null) {
      throw new TaskNotFoundError(taskId);
    }
    return toWireTask(task);
  }

  @GrpcMethod(TASK_SERVICE, 'ListTasks')
  async listTasks(request: unknown, metadata: unknown): Promise<WireTaskPage> {
    const { page_size: limit, page_token, status } = parseRequest(listTasksSchema, request);
    try {
      const options = { limit, pageToken: page_token, status, view: 'summary' } as const;
      const page = await this.scopes.of(metadata).tasks.listTasks(options);
      this.#unreadableLog.report(page.unreadable ?? []);
      return toWireTaskPage(page);
    } catch (error) {
      if (error instanceof InvalidTaskError && error.field === 'pageToken') {
        throw new InvalidRequestError(
          'page_token',
          'was not given out for this list; start again without it, with the same status throughout',
        );
      }
      throw error;
    }
  }

  @GrpcMethod(TASK_SERVICE, 'DeleteTask')
  async deleteTask(request: unknown, metadata: unknown): Promise<object> {
    const { task_id: taskId } = parseRequest(taskRequestSchema, request);
    if (!(await this.supervisor.delete(this.scopes.of(metadata), taskId))) {
      throw new TaskNotFoundError(taskId);
    }
    return {};
  }

  @GrpcMethod(TASK_SERVICE, 'CountActiveTasks')
  async countActiveTasks(
    request: unknown,
    metadata: unknown,
  ): Promise<{ active_task_count: number }> {
    parseRequest(emptyRequestSchema, request);
    return { active_task_count: await this.scopes.of(metadata).tasks.countActiveTasks() };
  }

  @GrpcMethod(TASK_SERVICE, 'CleanupOldTasks')
  async cleanupOldTasks(
    request: unknown,
    metadata: unknown,
  ): Promise<{ deleted_task_count: number }> {
    const {
      older_than_days: olderThanDays,
      statuses,
      dry_run: dryRun,
    } = parseRequest(cleanupOldTasksSchema, request);
    const { tasks } = this.scopes.of(metadata);
    return {
      deleted_task_count: await tasks.cleanupOldTasks(olderThanDays, { statuses, dryRun }),
    };
  }

  @GrpcMethod(TASK_SERVICE, 'WatchTask')
  watchTask(request: unknown, metadata: unknown, call: StreamCall): Observable<WireTaskEvent> {
    const { task_id: taskId, after_sequence: after } = parseRequest(watchTaskSchema, request);
    const { tasks } = this.scopes.of(metadata);
    return streamAnswer(call, (ended) =>
      this.streams.limited(() => this.#events(tasks, taskId, after, ended)),
    );
  }

  async *#events(
    tasks: TaskOperations,
    taskId: string,
    afterSequence: number,
    ended: AbortSignal,
  ): AsyncGenerator<WireTaskEvent, void, undefined> {
    for await (const event of this.follower.follow(tasks, taskId, afterSequence, ended)) {
      yield toWireTaskEvent(event);
    }
  }
}
