import { Controller, Inject, UseFilters } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import { InvalidTaskError } from '../../task/errors.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { InvalidRequestError, TaskNotFoundError } from '../agent-errors.js';
import { AGENT_STORAGE } from '../agent-options.js';
import { StreamLimit } from '../limits/stream-limit.js';
import { TaskFollower } from '../supervisor/task-follower.js';
import { TaskSupervisor } from '../supervisor/task-supervisor.js';
import { emptyRequestSchema, parseRequest } from '../wire/request-parsing.js';
import {
  cleanupOldTasksSchema,
  listTasksSchema,
  taskRequestSchema,
  toListedTask,
  toWireTask,
  toWireTaskEvent,
  watchTaskSchema,
  type WireTask,
  type WireTaskEvent,
} from '../wire/task-service-messages.js';
import { GrpcExceptionFilter } from './grpc-exception.filter.js';
import { TASK_SERVICE } from './proto-files.js';
import { streamAnswer, type StreamCall } from './stream-answer.js';

/** The RPCs of `nestjs_task_storage.v1.TaskService`. */
@Controller()
@UseFilters(GrpcExceptionFilter)
export class TaskServiceController {
  constructor(
    @Inject(AGENT_STORAGE) private readonly storage: TaskStorage,
    private readonly supervisor: TaskSupervisor,
    private readonly follower: TaskFollower,
    private readonly streams: StreamLimit,
  ) {}

  @GrpcMethod(TASK_SERVICE, 'GetTask')
  async getTask(request: unknown): Promise<WireTask> {
    const { task_id: taskId } = parseRequest(taskRequestSchema, request);
    const task = await this.storage.getTask(taskId);
    if (task === null) {
      throw new TaskNotFoundError(taskId);
    }
    return toWireTask(task);
  }

  @GrpcMethod(TASK_SERVICE, 'ListTasks')
  async listTasks(request: unknown): Promise<{ tasks: WireTask[]; next_page_token: string }> {
    const { page_size: limit, page_token, status } = parseRequest(listTasksSchema, request);
    try {
      const options = { limit, pageToken: page_token, status, view: 'summary' } as const;
      const { tasks, nextPageToken } = await this.storage.listTasks(options);
      return { tasks: tasks.map(toListedTask), next_page_token: nextPageToken ?? '' };
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
  async deleteTask(request: unknown): Promise<object> {
    const { task_id: taskId } = parseRequest(taskRequestSchema, request);
    if (!(await this.supervisor.delete(taskId))) {
      throw new TaskNotFoundError(taskId);
    }
    return {};
  }

  @GrpcMethod(TASK_SERVICE, 'CountActiveTasks')
  async countActiveTasks(request: unknown): Promise<{ active_task_count: number }> {
    parseRequest(emptyRequestSchema, request);
    return { active_task_count: await this.storage.countActiveTasks() };
  }

  @GrpcMethod(TASK_SERVICE, 'CleanupOldTasks')
  async cleanupOldTasks(request: unknown): Promise<{ deleted_task_count: number }> {
    const {
      older_than_days: olderThanDays,
      statuses,
      dry_run: dryRun,
    } = parseRequest(cleanupOldTasksSchema, request);
    return {
      deleted_task_count: await this.storage.cleanupOldTasks(olderThanDays, { statuses, dryRun }),
    };
  }

  @GrpcMethod(TASK_SERVICE, 'WatchTask')
  watchTask(request: unknown, _metadata: unknown, call: StreamCall): Observable<WireTaskEvent> {
    const { task_id: taskId, after_sequence: after } = parseRequest(watchTaskSchema, request);
    return streamAnswer(call, (ended) =>
      this.streams.limited(() => this.#events(taskId, after, ended)),
    );
  }

  async *#events(
    taskId: string,
    afterSequence: number,
    ended: AbortSignal,
  ): AsyncGenerator<WireTaskEvent, void, undefined> {
    for await (const event of this.follower.follow(taskId, afterSequence, ended)) {
      yield toWireTaskEvent(event);
    }
  }
}
