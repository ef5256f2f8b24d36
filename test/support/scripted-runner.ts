import type { AgentOutcome, AgentRun, AgentRunner } from '../../src/agent/agent-runner.js';

/** One run, in the hands of a test. */
export class ScriptedRun {
  readonly outcome: Promise<AgentOutcome>;
  finish: (outcome?: AgentOutcome) => void = () => undefined;
  fail: (reason: unknown) => void = () => undefined;
  /** Resolves when the runner is told to stop. */
  readonly aborted: Promise<void>;

  constructor(readonly run: AgentRun) {
    this.outcome = new Promise((resolve, reject) => {
      this.finish = (outcome = {}) => resolve(outcome);
      this.fail = reject;
    });
    this.aborted = new Promise((resolve) => {
      run.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  get taskId(): string {
    return this.run.taskId;
  }

  async report(stage: string, message = ''): Promise<void> {
    await this.run.reportStage(stage, message);
  }
}

/** A runner that does what a test says, when it says so. */
export class ScriptedRunner implements AgentRunner {
  readonly description = 'a test';
  /** How many runs were started. */
  started = 0;
  readonly #runs: ScriptedRun[] = [];
  #waiting: ((run: ScriptedRun) => void)[] = [];

  /**
   * @param stopsWhenTold whether a run fails by itself when it is aborted
   * @param resumable whether another process may run its tasks again
   */
  constructor(
    private readonly stopsWhenTold = true,
    readonly resumable = false,
  ) {}

  async run(run: AgentRun): Promise<AgentOutcome> {
    const scripted = new ScriptedRun(run);
    if (this.stopsWhenTold) {
      void scripted.aborted.then(() => scripted.fail(run.signal.reason));
    }
    this.started += 1;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      this.#runs.push(scripted);
    } else {
      waiting(scripted);
    }
    return scripted.outcome;
  }

  /** @returns the next run, as soon as it is started */
  async next(): Promise<ScriptedRun> {
    return this.#runs.shift() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }
}
