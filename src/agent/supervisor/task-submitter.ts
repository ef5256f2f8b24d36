import { isDeepStrictEqual } from 'node:util';
import { TaskStorageError } from '../../task/errors.js';
import type { NewTaskEvent } from '../../task/task-event.js';
import type { NewTask } from '../../task/task.js';
import { AgentError } from '../agent-errors.js';
import type { AgentSettings } from '../agent-options.js';
import type { AgentRunner } from '../agent-runner.js';
import { assertFieldFits, assertInstructionFits } from '../limits/size-checks.js';
import { newTaskTenantOf, type TaskScope } from '../task-scope.js';
import type { RunAgentInstruction } from '../wire/agent-requests.js';
import { explainLimit } from './limit-explanation.js';
import { newTaskId } from './new-task-id.js';
import { isUnavailable } from './storage-retry.js';
import { withoutSecrets, type JobSources } from './task-job.js';
import type { TaskRuns, TaskRunsContext } from './task-runs.js';
import { prepareSubmission, storedRequest, type TaskSubmission } from './task-submission.js';
import { UnconfirmedCreations } from './unconfirmed-creations.js';

/** So often the task of a repeated submission may come and go before the submission gives up. */
const MAX_TRIES = 5;

const STARTING: NewTaskEvent = { stage: 'starting', message: 'Task is starting.' };

/** The task of a submission. */
export interface SubmittedTask {
  readonly taskId: string;
  /** `false` when an earlier submission with the same idempotency key has made it. */
  readonly isNew: boolean;
}

/** The settings that decide which tasks run, how often, and how large they may be. */
export type AdmissionSettings = Pick<
  AgentSettings,
  | 'maxTasks'
  | 'maxTasksPerTenant'
  | 'whenFull'
  | 'maxAttempts'
  | 'staleRunningMinutes'
  | 'maxInstructionBytes'
  | 'maxFieldBytes'
>;

/** What a {@link TaskSubmitter} works with. */
export interface TaskSubmitterContext extends Omit<TaskRunsContext, 'settings'>, JobSources {
  readonly runs: TaskRuns;
  readonly settings: AdmissionSettings;
}

/** Stores new tasks, and starts those that are not queued. */
export class TaskSubmitter {
  /** The newest submission of each idempotent task: the same one again waits for its turn. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #unconfirmed: UnconfirmedCreations;

  constructor(private readonly context: TaskSubmitterContext) {
    this.#unconfirmed = new UnconfirmedCreations(context);
  }

  /**
   * @param scope whose the task is, and among whose tasks an earlier one is looked for
   * @param idempotencyKey gives the task of an earlier submission with the same key and request
   * @param assertOpen throws when nothing new may be started any more
   * @throws {AgentError} when the request is refused, `IDEMPOTENCY_KEY_REUSED` when the key belongs
   *   to another request
   * @throws {TaskLimitReachedError} when there is no room for another active task
   */
  async submit(
    scope: TaskScope,
    request: RunAgentInstruction,
    idempotencyKey: string | null,
    runner: AgentRunner,
    assertOpen: () => void,
  ): Promise<SubmittedTask> {
    const taskId = newTaskId(newTaskTenantOf(scope), idempotencyKey);
    const submit = async () =>
      this.#submit(scope, taskId, request, idempotencyKey, runner, assertOpen);
    if (idempotencyKey === null) {
      return submit();
    }
    const turn = (this.#turns.get(taskId) ?? Promise.resolve()).then(submit);
    const over = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(taskId, over);
    return turn.finally(() => {
      if (this.#turns.get(taskId) === over) {
        this.#turns.delete(taskId);
      }
    });
  }

  async #submit(
    scope: TaskScope,
    taskId: string,
    request: RunAgentInstruction,
    idempotencyKey: string | null,
    runner: AgentRunner,
    assertOpen: () => void,
  ): Promise<SubmittedTask> {
    const { settings, runs } = this.context;
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      if (idempotencyKey !== null) {
        if (await this.#isRepeated(scope, taskId, request)) {
          return { taskId, isNew: false };
        }
        if (await this.#unconfirmed.settled(taskId)) {
          continue;
        }
      }
      assertInstructionFits(request.instruction, settings);
      const isQueued = settings.whenFull === 'queue';
      const maxAttempts = runner.resumable === true ? settings.maxAttempts : 1;
      const sharing = { isQueued, maxAttempts };
      const submission = await prepareSubmission(scope, taskId, request, this.context, sharing);
      assertFieldFits('request', submission.newTask.requestData ?? {}, settings);
      if (idempotencyKey !== null) {
        await runs.makeWay(taskId);
      }
      if (!isQueued) {
        await runs.roomDecided();
      }
      // Asked again, because preparing takes a while.
      assertOpen();
      const created = isQueued
        ? this.#queue(scope, submission.newTask, idempotencyKey)
        : this.#start(scope, submission, idempotencyKey, runner);
      if (await created) {
        return { taskId, isNew: true };
      }
    }
    throw new TaskStorageError(
      'CONFLICT',
      `Task ${taskId} was created and deleted again and again`,
    );
  }

  /** @returns whether an earlier submission of the same request has made the task */
  async #isRepeated(
    { tasks }: TaskScope,
    taskId: string,
    request: RunAgentInstruction,
  ): Promise<boolean> {
    const task = await tasks.getTask(taskId);
    if (task === null) {
      return false;
    }
    const { redaction } = this.context;
    // A rule may have been added since.
    const stored = task.requestData && withoutSecrets(task.requestData, redaction);
    if (!isDeepStrictEqual(stored, storedRequest(request, redaction))) {
      throw new AgentError(
        'IDEMPOTENCY_KEY_REUSED',
        `The idempotency key belongs to task ${taskId}, which has another request; send a new key with a new request`,
      );
    }
    return true;
  }

  /** @returns `false` when the id is taken */
  async #queue(
    { tasks }: TaskScope,
    newTask: NewTask,
    idempotencyKey: string | null,
  ): Promise<boolean> {
    try {
      return await tasks.createTask(newTask, { queue: true, events: [STARTING] });
    } catch (error) {
      if (isUnavailable(error) && idempotencyKey === null) {
        void this.#unconfirmed.remove(newTask.taskId);
      }
      throw error;
    }
  }

  /** @returns `false` when the id is taken */
  async #start(
    { tasks }: TaskScope,
    { newTask, job }: TaskSubmission,
    idempotencyKey: string | null,
    runner: AgentRunner,
  ): Promise<boolean> {
    const { keeper, runs, settings } = this.context;
    const { maxTasks, maxTasksPerTenant } = settings;
    const run = runs.addIfRoom(job, runner);
    const span = keeper.beginSpan();
    const creating = tasks.createTask(newTask, {
      maxActiveTasks: maxTasks,
      maxActiveTasksPerTenant: maxTasksPerTenant ?? undefined,
      lease: { owner: keeper.owner, leaseMs: keeper.leaseMs },
      events: [STARTING],
    });
    runs.track(creating);
    try {
      const created = await creating;
      if (created) {
        runs.start(run, span);
      } else {
        runs.discard(run);
      }
      return created;
    } catch (error) {
      if (!isUnavailable(error)) {
        runs.discard(run);
        throw explainLimit(error, settings);
      }
      if (idempotencyKey === null) {
        runs.discard(run);
        void this.#unconfirmed.remove(newTask.taskId);
      } else {
        this.#unconfirmed.find(newTask.taskId, (isCreated) =>
          isCreated ? runs.start(run, span) : runs.discard(run),
        );
      }
      throw error;
    }
  }
}
