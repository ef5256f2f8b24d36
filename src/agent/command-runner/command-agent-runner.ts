import type { AgentOutcome, AgentRun, AgentRunner } from '../agent-runner.js';
import { runMasked } from '../redaction/run-masked.js';
import { QuotedSecrets } from '../supervisor/quoted-secrets.js';
import { isSecretName } from '../wire/secret-names.js';
import { secretsOfEndpoint } from '../wire/secrets.js';
import { AgentProcess, type AgentExit, type AgentProcessOptions } from './agent-process.js';
import { LineSplitter } from './line-splitter.js';
import { RunReport } from './run-report.js';

/** Longer lines are cut: what a program writes never fills the memory. */
const MAXIMUM_LINE_BYTES = 1024 * 1024;

/** Their names sound like a secret, and they are paths. */
const NO_SECRETS: ReadonlySet<string> = new Set(['PWD', 'SSH_AUTH_SOCK']);

/** What the program may quote of its environment, which is no business of who submits tasks. */
function secretVariables(environment: NodeJS.ProcessEnv): readonly string[] {
  return Object.entries(environment).flatMap(([name, value = '']) => {
    if (isSecretName(name) && !NO_SECRETS.has(name)) {
      return [value];
    }
    return value.includes('://') ? secretsOfEndpoint(value) : [];
  });
}

/** The options of {@link CommandAgentRunner}. */
export interface CommandAgentRunnerOptions extends AgentProcessOptions {
  /** Whether the program may be run again for a task whose replica was lost. Default `false`. */
  resumable?: boolean | undefined;
}

/**
 * Runs each task as a program of its own, in whatever language: the request is one JSON object on
 * its stdin, its stdout is read line by line as it works, and its exit code decides how the task
 * ends. `docs/runner-protocol.md` is the whole protocol.
 */
export class CommandAgentRunner implements AgentRunner {
  readonly description: string;
  readonly resumable: boolean;

  constructor(private readonly options: CommandAgentRunnerOptions) {
    this.resumable = options.resumable ?? false;
    this.description = `the program ${options.command[0]}`;
  }

  /**
   * @throws {Error} with the program's last words when it fails, and with the signal's reason when
   *   the run is aborted; nothing that the program started in its process group runs any more then
   */
  async run(run: AgentRun): Promise<AgentOutcome> {
    const secrets = new QuotedSecrets(run.request, secretVariables(this.options.environment));
    return runMasked(run, secrets, async (maskedRun) => this.#run(maskedRun));
  }

  async #run(run: AgentRun): Promise<AgentOutcome> {
    run.signal.throwIfAborted();
    const { taskId, instruction, maxSteps, request, previous, attempt, saved } = run;
    const input = JSON.stringify({
      taskId,
      instruction,
      maxSteps,
      request,
      previous,
      attempt,
      saved,
    });
    const agent = await AgentProcess.start(this.options, `${input}\n`);
    const report = new RunReport(run);
    const ended = new AbortController();
    const aborted = new Promise<never>((_resolve, reject) => {
      const abort = () => {
        agent.terminate();
        reject(run.signal.reason);
      };
      run.signal.addEventListener('abort', abort, { signal: ended.signal });
      if (run.signal.aborted) {
        abort();
      }
    });
    try {
      // Whoever aborts need not answer the reports that are still waiting.
      const forwarded = Promise.race([this.#forward(agent, report), aborted]);
      forwarded.catch(() => agent.terminate());
      const exit = await agent.closed;
      await forwarded;
      run.signal.throwIfAborted();
      this.#throwUnlessWell(exit);
      return report.outcome();
    } finally {
      ended.abort();
    }
  }

  async #forward(agent: AgentProcess, report: RunReport): Promise<void> {
    const lines = new LineSplitter(MAXIMUM_LINE_BYTES);
    for await (const chunk of agent.output) {
      await report.take(lines.push(chunk));
    }
    await report.take(lines.end());
    await report.end();
  }

  #throwUnlessWell({ code, signal, lastWords }: AgentExit): void {
    if (signal !== null) {
      const ending = lastWords === '' ? '' : `: ${lastWords}`;
      throw new Error(`The agent was killed by ${signal}${ending}`);
    }
    if (code !== 0) {
      throw new Error(lastWords === '' ? `The agent exited with code ${code}` : lastWords);
    }
  }
}
