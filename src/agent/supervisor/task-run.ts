import { Logger } from '@nestjs/common';
import type { Clock } from '../../task/clock.js';
import type { NewTaskEvent } from '../../task/task-event.js';
import type { AgentRun, AgentRunner } from '../agent-runner.js';
import { describeError } from '../describe-error.js';
import type { RunLimits } from '../limits/agent-limits.js';
import { runGuarded } from './guarded-runner.js';
import { StageWriter } from './stage-writer.js';
import { storableText, storableWord } from '../storable-text.js';
import { retryWhateverHappens } from './storage-retry.js';
import { failed, finished, timedOut, type TaskEnding } from './task-ending.js';
import type { TaskJob } from './task-job.js';
import { storableProgress } from './task-progress.js';
import { TaskRecord, type TaskRecordContext } from './task-record.js';

const MAX_STAGE_CHARACTERS = 255;
const UNNAMED_STAGE = 'unnamed';
const MS_PER_SECOND = 1000;

/** Why a run has no end of its own to write. */
export type Unrecorded =
  /** Somebody else has ended or deleted the task, or has taken its lease over. */
  | 'gone'
  /** The lease was not renewed in time, so that somebody else may take it over. */
  | 'lease-unsafe'
  /** The service stops, and another process is to attempt the task again. */
  | 'left';

const UNRECORDED_REASONS: Readonly<Record<Unrecorded, string>> = {
  gone: 'was ended, deleted or taken over by somebody else',
  'lease-unsafe': 'was stopped here, because its lease could not be renewed in time',
  left: 'is left to another replica',
};

/** A run, the name of the process that holds its lease, and how much the run may store. */
export interface TaskRunContext extends TaskRecordContext {
  readonly leaseOwner: string;
  readonly limits: RunLimits;
}

function resuming(attempt: number): NewTaskEvent {
  return { stage: 'resuming', message: `Task is resumed in attempt ${attempt}.` };
}

/**
 * One task from its start to its recorded end. Of all that may end it (its runner, a cancellation,
 * the time limit, the end of the service) the first wins; what comes later changes nothing.
 */
export class TaskRun {
  readonly #logger = new Logger(TaskRun.name);
  readonly #record: TaskRecord;
  readonly #stages: StageWriter;
  readonly #abort = new AbortController();
  readonly #decided: Promise<TaskEnding | Unrecorded>;
  #decide: (ending: TaskEnding | Unrecorded) => void = () => undefined;
  #isDecided = false;
  #runnerSettled: Promise<void> = Promise.resolve();
  /** Resolves when the end of the task is stored, or cannot be. */
  readonly recorded: Promise<void>;
  #setRecorded: () => void = () => undefined;

  constructor(
    readonly job: TaskJob,
    private readonly runner: AgentRunner,
    private readonly context: TaskRunContext,
  ) {
    this.#decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
    this.recorded = new Promise((resolve) => {
      this.#setRecorded = resolve;
    });
    const { taskId, attempt, lastEventSequence } = job;
    const lease = { owner: context.leaseOwner, attempt };
    this.#record = new TaskRecord(taskId, lease, lastEventSequence, context);
    this.#stages = new StageWriter(
      this.#record,
      { used: lastEventSequence, most: context.limits.maxStages },
      () => this.stop('gone'),
      (error) => {
        this.#logger.error(`Task ${job.taskId}: a stage was not stored: ${describeError(error)}`);
        this.stop(failed(new Error('The progress of the task could not be stored.')));
      },
    );
  }

  /** Whether another process may attempt the task again when this one leaves it. */
  get mayBeResumed(): boolean {
    const { attempt, maxAttempts } = this.job;
    return this.runner.resumable === true && attempt < maxAttempts;
  }

  /** Resolves when it is known how the run ends. */
  get decided(): Promise<unknown> {
    return this.#decided;
  }

  /** Gives the run up before it was started: there is nothing to record. */
  abandon(): void {
    this.stop('gone');
    this.#setRecorded();
  }

  /** Resolves when the runner has returned, which may be later than the end of the task. */
  get runnerSettled(): Promise<void> {
    return this.#runnerSettled;
  }

  /**
   * Ends the run: tells the runner to stop and has the end recorded.
   *
   * @returns `false` when the end was decided before
   */
  stop(ending: TaskEnding | Unrecorded): boolean {
    const first = this.#end(ending);
    if (first) {
      this.#abort.abort();
    }
    return first;
  }

  /** Stops the run if somebody else has ended, deleted or taken over the task. */
  async lookAgain(): Promise<void> {
    try {
      if (!this.#isDecided && !(await this.#record.isHeld())) {
        this.stop('gone');
      }
    } catch (error) {
      // The next renewal of the lease tells as well.
      this.#logger.debug(`Task ${this.job.taskId} was not looked at: ${describeError(error)}`);
    }
  }

  /**
   * Runs the task. Resolves like {@link recorded}; never rejects.
   *
   * @param isSafe asked at the last moment before the runner is called
   */
  async run(isSafe: () => boolean): Promise<void> {
    try {
      if (!this.#isDecided && !(await this.#start())) {
        this.stop('gone');
      }
      if (!isSafe()) {
        this.stop('lease-unsafe');
      }
      await this.#runToItsEnd();
    } catch (error) {
      // The service stops before the end could be stored. Whoever claims the lease when it has ended
      // ends the task, or attempts it again.
      this.#logger.error(`Task ${this.job.taskId} is left as it is: ${describeError(error)}`);
    } finally {
      this.#setRecorded();
    }
  }

  /** @returns `false` when somebody else has ended or deleted the task */
  async #start(): Promise<boolean> {
    try {
      return this.job.isStarted
        ? await this.#record.append([resuming(this.job.attempt)], null)
        : await this.#record.start();
    } catch (error) {
      this.#logger.error(
        `Task ${this.job.taskId}: its start was not stored: ${describeError(error)}`,
      );
      this.stop(failed(new Error('The start of the task could not be stored.')));
      return true;
    }
  }

  async #runToItsEnd(): Promise<void> {
    let cancelTimeout = () => {};
    if (!this.#isDecided) {
      cancelTimeout = this.#startTimeout();
      this.#runnerSettled = this.#callRunner();
    }
    const ending = await this.#decided;
    cancelTimeout();
    const outcome = typeof ending === 'string' ? ending : (await this.#store(ending)) || 'gone';
    if (outcome !== true) {
      this.#logger.warn(`Task ${this.job.taskId} ${UNRECORDED_REASONS[outcome]}`);
    }
  }

  async #store(ending: TaskEnding): Promise<boolean> {
    try {
      return await this.#stages.end(ending);
    } catch (error) {
      this.#logger.error(
        `Task ${this.job.taskId}: its end was not stored: ${describeError(error)}`,
      );
      // Something in it may be refused: better an end without it than a task that never ends, and
      // holds its place for as long as this process lives.
      const { clock, giveUp } = this.context;
      const failure = failed(new Error('The end of the task could not be stored.'));
      return retryWhateverHappens(async () => this.#record.end(failure, []), {
        clock,
        signal: giveUp,
      });
    }
  }

  #end(ending: TaskEnding | Unrecorded): boolean {
    if (this.#isDecided) {
      return false;
    }
    this.#isDecided = true;
    this.#decide(ending);
    return true;
  }

  async #callRunner(): Promise<void> {
    const warn = (problem: string) => this.#warnDropped(problem);
    try {
      const outcome = await runGuarded(this.runner, this.#agentRun(), this.context.limits);
      this.#end(finished(outcome, this.context.limits, warn));
    } catch (error) {
      this.#end(failed(error));
    }
  }

  #agentRun(): AgentRun {
    const { taskId, instruction, maxSteps, request, previous, attempt, saved } = this.job;
    return {
      taskId,
      instruction,
      maxSteps,
      request,
      previous,
      attempt,
      saved,
      signal: this.#abort.signal,
      reportStage: async (stage, message) => {
        const word = storableWord(stage, MAX_STAGE_CHARACTERS);
        await this.#stages.add({
          stage: word === '' ? UNNAMED_STAGE : word,
          message: storableText(message),
        });
      },
      saveProgress: async (progress) => {
        const storable = storableProgress(progress, this.context.limits, (problem) =>
          this.#warnDropped(problem),
        );
        await this.#stages.saveProgress(storable);
      },
    };
  }

  #warnDropped(problem: string): void {
    this.#logger.warn(`Task ${this.job.taskId}: progress was not saved: ${problem}`);
  }

  #startTimeout(): () => void {
    const { clock } = this.context;
    const { timeoutSeconds } = this.job;
    return callAt(clock, clock.now().getTime() + timeoutSeconds * MS_PER_SECOND, () =>
      this.stop(timedOut(timeoutSeconds)),
    );
  }
}

/** A clock's timer may fire before a time that is further away than timers reach. */
function callAt(clock: Clock, timeMs: number, callback: () => void): () => void {
  const leftMs = timeMs - clock.now().getTime();
  let cancel = clock.after(Math.max(leftMs, 0), () => {
    if (clock.now().getTime() >= timeMs) {
      callback();
    } else {
      cancel = callAt(clock, timeMs, callback);
    }
  });
  return () => cancel();
}
