import { Injectable, Logger } from '@nestjs/common';
import { isTerminal } from '../../task/task-lifecycle.js';
import { describeError } from '../describe-error.js';
import { TaskFollower } from '../supervisor/task-follower.js';
import { TaskSupervisor } from '../supervisor/task-supervisor.js';
import type { TaskScope } from '../task-scope.js';
import type { RunAgentInstruction } from '../wire/agent-requests.js';
import { toTaskStream, type TaskStream } from '../wire/agent-responses.js';
import { isBrokenByPort } from './port-closing.js';

/**
 * Runs a task for a call: the task ends with the call when its client goes. A call that repeats
 * another one only follows that one's task.
 */
@Injectable()
export class InstructionStream {
  readonly #logger = new Logger(InstructionStream.name);

  constructor(
    private readonly supervisor: TaskSupervisor,
    private readonly follower: TaskFollower,
  ) {}

  /** @param callEnded aborted when the call has ended, in whatever way */
  async *run(
    scope: TaskScope,
    request: RunAgentInstruction,
    idempotencyKey: string | null,
    callEnded: AbortSignal,
  ): AsyncGenerator<TaskStream, void, undefined> {
    const { taskId, isNew } = await this.supervisor.submit(scope, request, idempotencyKey);
    let taskEnded = false;
    try {
      for await (const event of this.follower.follow(scope.tasks, taskId, 0, callEnded)) {
        taskEnded = event.status !== null && isTerminal(event.status);
        yield toTaskStream(event);
      }
    } finally {
      // A service that breaks its calls by closing its port ends its tasks as interrupted.
      if (isNew && callEnded.aborted && !taskEnded && !isBrokenByPort(callEnded)) {
        await this.#cancel(scope, taskId);
      }
    }
  }

  async #cancel(scope: TaskScope, taskId: string): Promise<void> {
    try {
      await this.supervisor.cancel(scope, taskId);
    } catch (error) {
      this.#logger.warn(
        `Task ${taskId} is not yet cancelled, though its client is gone: ${describeError(error)}`,
      );
    }
  }
}
