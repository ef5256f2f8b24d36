import type { JsonObject } from '../task/json.js';

/** The injection token of the application's {@link AgentRunner}. */
export const AGENT_RUNNER = Symbol.for('nestjs-task-storage:AGENT_RUNNER');

/** What a runner may save while it works; a field left out keeps what was saved before. */
export interface AgentProgress {
  /** Keys: `steps, duration_seconds, input_tokens, output_tokens, total_tokens, cost, currency_symbol`. */
  executionStatistics?: JsonObject | undefined;
  /** From the name of a tool or model to the list of its messages; replaces what was saved. */
  conversationHistory?: JsonObject | undefined;
  /** Keys: `id`, `os` (a number of the wire's `SandboxOS`), `shape_name`. */
  sandboxInfo?: JsonObject | undefined;
}

/** How a run ended well. */
export interface AgentOutcome extends AgentProgress {
  /** A short word, at most 50 characters. Default `completed`. */
  finalState?: string | undefined;
  /** What the agent answers to the person who asked. */
  result?: string | undefined;
}

/** What a task that continues another one gets to see of it. */
export interface PreviousTask {
  readonly taskId: string;
  readonly conversationHistory: JsonObject | null;
  readonly sandboxInfo: JsonObject | null;
}

/** One task, handed to a runner. */
export interface AgentRun {
  readonly taskId: string;
  readonly instruction: string;
  readonly maxSteps: number;
  /**
   * The request in protobuf's JSON form with the field names of the wire, secrets included. Its
   * `runningConfig` is the effective one: what the request says, over the global configuration.
   */
  readonly request: JsonObject;
  readonly previous: PreviousTask | null;
  /** 1 for the first attempt; more when the replica that ran the task was lost. */
  readonly attempt: number;
  /** What earlier attempts have saved; empty in the first one. */
  readonly saved: AgentProgress;
  /**
   * Aborted when the task is cancelled, timed out, gone, or about to be
   * taken over by another replica: stop working, and reject.
   */
  readonly signal: AbortSignal;
  /**
   * Tells those who follow the task what happens. Text is made storable: NUL characters and lone
   * surrogates become U+FFFD. Resolves when there is room for the next stage: a runner that waits
   * for it cannot flood the storage.
   */
  reportStage(stage: string, message: string): Promise<void>;
  /** Stores progress, so that it survives a run that ends badly. Resolves like `reportStage`. */
  saveProgress(progress: AgentProgress): Promise<void>;
}

/**
 * Runs tasks. The application provides one; `CommandAgentRunner` runs any program.
 *
 * A rejection ends the task as `error`, with the error's message as the reason that its submitter
 * reads.
 */
export interface AgentRunner {
  /** What runs the tasks, for a log line. */
  readonly description: string;
  /**
   * Whether a task whose replica was lost may be run again, up to `maxAttempts` times. Without it
   * such a task ends as `error`, because what its run has done already may not be done twice.
   */
  readonly resumable?: boolean | undefined;
  run(run: AgentRun): Promise<AgentOutcome>;
}
