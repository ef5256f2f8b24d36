import { Logger } from '@nestjs/common';
import type { Clock } from '../../task/clock.js';
import type { JsonObject } from '../../task/json.js';
import type { AgentRun, AgentRunner, PreviousTask } from '../agent-runner.js';
import { describeError } from '../describe-error.js';
import { runGuarded } from './guarded-runner.js';
import { StageWriter } from './stage-writer.js';
import { storableText, storableWord } from '../storable-text.js';
import { retryWhateverHappens } from './storage-retry.js';
import { failed, finished, timedOut, type TaskEnding } from './task-ending.js';
import { storableProgress } from './task-progress.js';
import { TaskRecord, type TaskRecordContext } from './task-record.js';
import { watchTask } from './task-watch.js';

const MAX_STAGE_CHARACTERS = 255;
const UNNAMED_STAGE = 'unnamed';
const MS_PER_SECOND = 1000;

/** What a run needs to know about its task. */
export interface TaskJob {
  readonly taskId: string;
  readonly instruction: string;
  readonly maxSteps: number;
  readonly timeoutSeconds: number;
  /** The effective request, secrets included. */
  readonly request: JsonObject;
  readonly previous: PreviousTask | null;
}

/** Why a run has no end of its own to write: somebody else has ended or deleted the task. */
type Gone = 'gone';

/**
 * One task from its start to its recorded end. Of all that may end it (its runner, a cancellation,
 * the time limit, the end of the service) the first wins; what comes later changes nothing.
 */
export class TaskRun {
  readonly #logger = new Logger(TaskRun.name);
  readonly #record: TaskRecord;
  readonly #stages: StageWriter;
  readonly #abort = new AbortController();
  readonly #decided: Promise<TaskEnding | Gone>;
  #decide: (ending: TaskEnding | Gone) => void = () => undefined;
  #isDecided = false;
  #runnerSettled: Promise<void> = Promise.resolve();
  /** Resolves when the end of the task is stored, or cannot be. */
  readonly recorded: Promise<void>;
  #setRecorded: () => void = () => undefined;

  constructor(
    private readonly job: TaskJob,
    private readonly runner: AgentRunner,
    private readonly context: TaskRecordContext,
  ) {
    this.#decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
    this.recorded = new Promise((resolve) => {
      this.#setRecorded = resolve;
    });
    this.#record = new TaskRecord(job.taskId, context);
    this.#stages = new StageWriter(
      this.#record,
      () => this.stop('gone'),
      (error) => {
        this.#logger.error(`Task ${job.taskId}: a stage was not stored: ${describeError(error)}`);
        this.stop(failed(new Error('The progress of the task could not be stored.')));
      },
    );
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
  stop(ending: TaskEnding | Gone): boolean {
    const first = this.#end(ending);
    if (first) {
      this.#abort.abort();
    }
    return first;
  }

  /** Runs the task. Resolves like {@link recorded}; never rejects. */
  async run(): Promise<void> {
    try {
      if (!this.#isDecided && !(await this.#start())) {
        this.stop('gone');
      }
      await this.#runToItsEnd();
    } catch (error) {
      // The service stops before the end could be stored. The next start of this instance ends the
      // task as interrupted.
      this.#logger.error(`Task ${this.job.taskId} is left as it is: ${describeError(error)}`);
    } finally {
      this.#setRecorded();
    }
  }

  /** @returns `false` when somebody else has ended or deleted the task */
  async #start(): Promise<boolean> {
    try {
      return await this.#record.start();
    } catch (error) {
      this.#logger.error(
        `Task ${this.job.taskId}: its start was not stored: ${describeError(error)}`,
      );
      this.stop(failed(new Error('The start of the task could not be stored.')));
      return true;
    }
  }

  async #runToItsEnd(): Promise<void> {
    let endWatches = () => {};
    if (!this.#isDecided) {
      endWatches = this.#startWatches();
      this.#runnerSettled = this.#callRunner();
    }
    const ending = await this.#decided;
    endWatches();
    if (ending === 'gone' || !(await this.#store(ending))) {
      this.#logger.warn(`Task ${this.job.taskId} was ended or deleted by somebody else`);
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

  #end(ending: TaskEnding | Gone): boolean {
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
      const outcome = await runGuarded(this.runner, this.#agentRun());
      this.#end(finished(outcome, warn));
    } catch (error) {
      this.#end(failed(error));
    }
  }

  #agentRun(): AgentRun {
    const { taskId, instruction, maxSteps, request, previous } = this.job;
    return {
      taskId,
      instruction,
      maxSteps,
      request,
      previous,
      signal: this.#abort.signal,
      reportStage: async (stage, message) => {
        const word = storableWord(stage, MAX_STAGE_CHARACTERS);
        await this.#stages.add({
          stage: word === '' ? UNNAMED_STAGE : word,
          message: storableText(message),
        });
      },
      saveProgress: async (progress) => {
        const storable = storableProgress(progress, (problem) => this.#warnDropped(problem));
        await this.#stages.saveProgress(storable);
      },
    };
  }

  #warnDropped(problem: string): void {
    this.#logger.warn(`Task ${this.job.taskId}: progress was not saved: ${problem}`);
  }

  /** Watches for what ends the task while its runner says nothing. */
  #startWatches(): () => void {
    const { clock } = this.context;
    const { timeoutSeconds } = this.job;
    const timeoutMs = timeoutSeconds * MS_PER_SECOND;
    const cancelTimeout = callAt(clock, clock.now().getTime() + timeoutMs, () =>
      this.stop(timedOut(timeoutSeconds)),
    );
    const watch = new AbortController();
    void watchTask(this.#record, clock, watch.signal, () => this.stop('gone'));
    return () => {
      cancelTimeout();
      watch.abort();
    };
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
