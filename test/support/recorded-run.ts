import type { AgentProgress, AgentRun } from '../../src/agent/agent-runner.js';

/** What a test may decide about a run. */
export interface RecordedRunOptions extends Partial<
  Pick<AgentRun, 'instruction' | 'maxSteps' | 'request' | 'previous' | 'attempt' | 'saved'>
> {
  /** Called with each stage; the runner waits for its answer. */
  onStage?: (stage: string, message: string) => void | Promise<void>;
}

/** A run without a service: it keeps all that a runner reports. */
export class RecordedRun implements AgentRun {
  readonly taskId = 'task-1';
  readonly instruction: string;
  readonly maxSteps: number;
  readonly request: AgentRun['request'];
  readonly previous: AgentRun['previous'];
  readonly attempt: number;
  readonly saved: AgentProgress;
  readonly stages: (readonly [stage: string, message: string])[] = [];
  readonly progress: AgentProgress[] = [];
  readonly #abort = new AbortController();
  readonly #onStage: NonNullable<RecordedRunOptions['onStage']>;
  readonly #waiting = new Map<string, (message: string) => void>();

  constructor(options: RecordedRunOptions = {}) {
    this.instruction = options.instruction ?? 'count';
    this.maxSteps = options.maxSteps ?? 10;
    this.request = options.request ?? {};
    this.previous = options.previous ?? null;
    this.attempt = options.attempt ?? 1;
    this.saved = options.saved ?? {};
    this.#onStage = options.onStage ?? (() => undefined);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  abort(reason: Error): void {
    this.#abort.abort(reason);
  }

  async reportStage(stage: string, message: string): Promise<void> {
    this.stages.push([stage, message]);
    this.#waiting.get(stage)?.(message);
    await this.#onStage(stage, message);
  }

  async saveProgress(progress: AgentProgress): Promise<void> {
    this.progress.push(structuredClone(progress));
  }

  /** @returns the message of the first such stage, as soon as it is reported */
  async untilStage(stage: string): Promise<string> {
    const earlier = this.stages.find(([name]) => name === stage);
    return earlier === undefined
      ? new Promise((resolve) => this.#waiting.set(stage, resolve))
      : earlier[1];
  }

  /** @returns the messages of one stage */
  messagesOf(stage: string): string[] {
    return this.stages.filter(([name]) => name === stage).map(([, message]) => message);
  }
}
