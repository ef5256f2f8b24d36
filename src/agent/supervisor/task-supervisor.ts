import { setMaxListeners } from 'node:events';
import { Logger } from '@nestjs/common';
import {
  IllegalTransitionError,
  TaskLimitReachedError,
  TaskStorageError,
} from '../../task/errors.js';
import type { NewTaskEvent } from '../../task/task-event.js';
import { isTerminal } from '../../task/task-lifecycle.js';
import type { NewTask } from '../../task/task.js';
import { AgentError, ServiceStoppingError } from '../agent-errors.js';
import type { AgentRunner } from '../agent-runner.js';
import type { Cancellation } from '../cancellation.js';
import { describeError } from '../describe-error.js';
import type { GlobalConfig } from '../global-config/global-config.js';
import type { RunAgentInstruction } from '../wire/agent-requests.js';
import { endsWithin } from './alarm.js';
import { isUnavailable, retryWhileUnavailable } from './storage-retry.js';
import { cancelled, interrupted } from './task-ending.js';
import { terminalEvent, type TaskRecordContext } from './task-record.js';
import { TaskRun } from './task-run.js';
import { prepareSubmission } from './task-submission.js';

/** How long a cancellation waits for the storage. */
const CANCEL_LIMIT_MS = 5_000;

/**
 * How long the end of the service waits for runners that were told to stop, and for their ends to
 * be recorded. A program that `CommandAgentRunner` runs gets 5 seconds to end by itself.
 */
const STOP_LIMIT_MS = 8_000;

const STARTING: NewTaskEvent = { stage: 'starting', message: 'Task is starting.' };

/** What a {@link TaskSupervisor} works with. */
export interface TaskSupervisorContext extends Omit<TaskRecordContext, 'giveUp'> {
  /** `null` when the service runs no tasks. */
  readonly runner: AgentRunner | null;
  readonly globalConfig: GlobalConfig;
  /** How many tasks may be active at once, over all processes. */
  readonly maxTasks: number;
}

/**
 * Runs the tasks of this process. What must survive the process is in the storage; here are only
 * the runs themselves, which end with it.
 */
export class TaskSupervisor {
  readonly #logger = new Logger(TaskSupervisor.name);
  /** The tasks whose end is not recorded yet. */
  readonly #runs = new Map<string, TaskRun>();
  /** Runners that may still be working, and submissions under way. */
  readonly #work = new Set<Promise<void>>();
  readonly #giveUp = new AbortController();
  #stopping = false;
  #stopped: Promise<void> | null = null;

  constructor(private readonly context: TaskSupervisorContext) {
    // In an outage every task waits for it.
    setMaxListeners(0, this.#giveUp.signal);
  }

  /**
   * Stores a task and starts it.
   *
   * @returns its id
   * @throws {AgentError} when the service is stopping, has no runner, or refuses the request
   * @throws {TaskLimitReachedError} when there is no room for another active task
   */
  async submit(request: RunAgentInstruction): Promise<string> {
    const { storage, globalConfig, runner } = this.context;
    this.#refuseWhenStopping();
    if (runner === null) {
      throw new AgentError(
        'NO_RUNNER',
        'This service runs no tasks; set AGENT_COMMAND to the program that does, or provide an AGENT_RUNNER',
      );
    }
    const { newTask, job } = await prepareSubmission(request, storage, globalConfig);
    // Asked again, because preparing takes a while.
    this.#refuseWhenStopping();
    const run = new TaskRun(job, runner, { ...this.context, giveUp: this.#giveUp.signal });
    // Known before it is stored: whoever stops the service meanwhile ends this task too.
    this.#runs.set(job.taskId, run);
    const created = this.#create(newTask);
    this.#track(
      created.then(
        async () => this.#run(job.taskId, run),
        () => void this.#runs.delete(job.taskId),
      ),
    );
    await created;
    return job.taskId;
  }

  /** @throws {TaskStorageError} `UNAVAILABLE` when the end could not be stored in time */
  async cancel(taskId: string): Promise<Cancellation> {
    const { storage, wakeUps, clock } = this.context;
    const run = this.#runs.get(taskId);
    const stoppedHere = run?.stop(cancelled()) ?? false;
    if (run !== undefined && !(await endsWithin(clock, CANCEL_LIMIT_MS, run.recorded))) {
      throw new TaskStorageError('UNAVAILABLE', `The end of task ${taskId} is not stored yet`);
    }
    try {
      const { status, finalState } = cancelled();
      const found = await storage.updateTask(
        taskId,
        { status, finalState },
        { events: [terminalEvent(cancelled())] },
      );
      wakeUps.notify(taskId);
      return { kind: found ? 'cancelled' : 'unknown' };
    } catch (error) {
      if (!(error instanceof IllegalTransitionError) || !isTerminal(error.from)) {
        throw error;
      }
      return stoppedHere && error.from === 'cancelled'
        ? { kind: 'cancelled' }
        : { kind: 'ended-before', status: error.from };
    }
  }

  /** @returns `false` when the task does not exist */
  async delete(taskId: string): Promise<boolean> {
    const { storage, wakeUps } = this.context;
    const deleted = await storage.deleteTask(taskId);
    this.#runs.get(taskId)?.stop('gone');
    wakeUps.notify(taskId, 'gone');
    return deleted;
  }

  /** From now on nothing new is started. */
  refuseNewTasks(): void {
    this.#stopping = true;
  }

  /** Lets tasks end by themselves for a while, and records the rest as interrupted. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #stop(graceMs: number): Promise<void> {
    const { clock } = this.context;
    this.refuseNewTasks();
    if (!(await endsWithin(clock, graceMs, this.#allWork()))) {
      this.#logger.warn(`Interrupting ${this.#runs.size} tasks that have not ended in time`);
      this.#runs.forEach((run) => run.stop(interrupted()));
      if (!(await endsWithin(clock, STOP_LIMIT_MS, this.#allWork()))) {
        this.#logger.error('Some runners did not stop, or the ends of their tasks were not stored');
      }
    }
    this.#giveUp.abort();
  }

  #refuseWhenStopping(): void {
    if (this.#stopping) {
      throw new ServiceStoppingError();
    }
  }

  async #create(newTask: NewTask): Promise<void> {
    const { storage, leaseOwner, maxTasks } = this.context;
    try {
      const created = await storage.createTask(
        { ...newTask, leaseOwner },
        { maxActiveTasks: maxTasks, events: [STARTING] },
      );
      if (!created) {
        throw new TaskStorageError('INTERNAL', `The new task id ${newTask.taskId} is taken`);
      }
    } catch (error) {
      if (isUnavailable(error)) {
        void this.#removeUnanswered(newTask.taskId);
      }
      throw error instanceof TaskLimitReachedError && error.limit === maxTasks
        ? new TaskLimitReachedError(maxTasks, limitReached(maxTasks))
        : error;
    }
  }

  /**
   * The storage may have created the task whose creation it did not confirm. Nobody knows its id
   * and nothing will run it, but it would count as active.
   */
  async #removeUnanswered(taskId: string): Promise<void> {
    const { storage, clock } = this.context;
    try {
      await retryWhileUnavailable(async () => storage.deleteTask(taskId), {
        clock,
        signal: this.#giveUp.signal,
      });
    } catch (error) {
      this.#logger.warn(`Task ${taskId} may be left as pending: ${describeError(error)}`);
    }
  }

  async #run(taskId: string, run: TaskRun): Promise<void> {
    await run.run();
    this.#runs.delete(taskId);
    await run.runnerSettled;
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  async #allWork(): Promise<void> {
    await Promise.all(this.#work);
  }
}

function limitReached(maxTasks: number): string {
  return `The service has reached its limit of ${maxTasks} active tasks (TASK_MAX_TASKS); try again when one has ended`;
}
