import { IllegalTransitionError, OutcomeUnknownError } from '../../task/errors.js';
import { isTerminal } from '../../task/task-lifecycle.js';
import { AgentError, ServiceStoppingError } from '../agent-errors.js';
import type { AgentRunner } from '../agent-runner.js';
import type { Cancellation } from '../cancellation.js';
import { isInScope, type TaskScope } from '../task-scope.js';
import type { RunAgentInstruction } from '../wire/agent-requests.js';
import { endsWithin } from './alarm.js';
import { isUnavailable } from './storage-retry.js';
import { cancelled } from './task-ending.js';
import { terminalEvent } from './task-record.js';
import type { TaskRun } from './task-run.js';
import { TaskSubmitter, type SubmittedTask, type TaskSubmitterContext } from './task-submitter.js';

/** How long a cancellation waits for the storage. */
const CANCEL_LIMIT_MS = 5_000;

/** What a {@link TaskSupervisor} works with. */
export interface TaskSupervisorContext extends TaskSubmitterContext {
  /** `null` when the service runs no tasks. */
  readonly runner: AgentRunner | null;
}

/** Submits, cancels and deletes tasks, whichever process runs them. */
export class TaskSupervisor {
  readonly #submitter: TaskSubmitter;
  #stopping = false;
  #stopped: Promise<boolean> | null = null;

  constructor(private readonly context: TaskSupervisorContext) {
    this.#submitter = new TaskSubmitter(context);
  }

  /**
   * Stores a task, and starts or queues it.
   *
   * @throws {AgentError} when the service is stopping, has no runner, or refuses the request
   * @throws {TaskLimitReachedError} when there is no room for another active task
   */
  async submit(
    scope: TaskScope,
    request: RunAgentInstruction,
    idempotencyKey: string | null = null,
  ): Promise<SubmittedTask> {
    const { runner } = this.context;
    this.#assertOpen();
    if (runner === null) {
      throw new AgentError(
        'NO_RUNNER',
        'This service runs no tasks; set AGENT_COMMAND to the program that does, or provide an AGENT_RUNNER',
      );
    }
    return this.#submitter.submit(scope, request, idempotencyKey, runner, () => this.#assertOpen());
  }

  /**
   * @throws {OutcomeUnknownError} when the run was stopped, and its end may be stored by now or later on
   * @throws {TaskStorageError} `UNAVAILABLE` when the storage refused, and nothing was changed
   */
  async cancel(scope: TaskScope, taskId: string): Promise<Cancellation> {
    const { clock } = this.context;
    const run = this.#runIn(scope, taskId);
    const stoppedHere = run?.stop(cancelled()) ?? false;
    if (run !== undefined && !(await endsWithin(clock, CANCEL_LIMIT_MS, run.recorded))) {
      throw new OutcomeUnknownError(`The end of task ${taskId} is not stored yet`);
    }
    try {
      const { status, finalState } = cancelled();
      const found = await scope.tasks.updateTask(
        taskId,
        { status, finalState },
        { events: [terminalEvent(cancelled())] },
      );
      return { kind: found ? 'cancelled' : 'unknown' };
    } catch (error) {
      if (error instanceof IllegalTransitionError && isTerminal(error.from)) {
        return stoppedHere && error.from === 'cancelled'
          ? { kind: 'cancelled' }
          : { kind: 'ended-before', status: error.from };
      }
      throw stoppedHere && isUnavailable(error)
        ? new OutcomeUnknownError(error.message, { cause: error.cause })
        : error;
    }
  }

  /** @returns `false` when the task does not exist */
  async delete(scope: TaskScope, taskId: string): Promise<boolean> {
    const deleted = await scope.tasks.deleteTask(taskId);
    if (deleted) {
      this.context.runs.lookAt(taskId);
    }
    return deleted;
  }

  /** From now on nothing new is started. */
  refuseNewTasks(): void {
    this.#stopping = true;
  }

  /**
   * Lets tasks end by themselves for a while. The rest is recorded as interrupted, or left to
   * another process that may attempt it again.
   *
   * @returns whether every runner has stopped
   */
  async stop(graceMs: number): Promise<boolean> {
    this.refuseNewTasks();
    this.#stopped ??= this.context.runs.stop(graceMs);
    return this.#stopped;
  }

  /** A run of this process, unless its task is another tenant's. */
  #runIn(scope: TaskScope, taskId: string): TaskRun | undefined {
    const run = this.context.runs.get(taskId);
    return run !== undefined && isInScope(scope, run.job.tenantId) ? run : undefined;
  }

  #assertOpen(): void {
    if (this.#stopping) {
      throw new ServiceStoppingError();
    }
  }
}
