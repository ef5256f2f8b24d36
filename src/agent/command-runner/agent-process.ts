import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { Logger } from '@nestjs/common';
import { ChildOutput } from './child-output.js';
import type { CommandLine } from './command-line.js';
import { OutputTail } from './output-tail.js';
import { endProcessGroup, killProcessGroupAtExit } from './process-group.js';

const logger = new Logger('CommandAgentRunner');

/**
 * How long a process that left the group may hold the pipes open after the program has ended.
 * What the program itself wrote is there at once, so nothing of it is lost.
 */
const DRAIN_MS = 1_000;

/** What to start, and how to stop it. */
export interface AgentProcessOptions {
  readonly command: CommandLine;
  readonly workingDirectory: string;
  /** All that the program sees; nothing is added to it. */
  readonly environment: NodeJS.ProcessEnv;
  /** The time between SIGTERM and SIGKILL, in milliseconds. */
  readonly killGraceMs: number;
}

/** How a program ended. */
export interface AgentExit {
  /** `null` when a signal killed it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last lines of its stderr; empty when there were none. */
  readonly lastWords: string;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable> & { readonly pid: number };

function hasStarted(child: { readonly pid?: number | undefined }): child is Child {
  return child.pid !== undefined;
}

async function startChild(options: AgentProcessOptions): Promise<Child> {
  const [program, ...programArguments] = options.command;
  try {
    const child = spawn(program, programArguments, {
      cwd: options.workingDirectory,
      env: options.environment,
      stdio: ['pipe', 'pipe', 'pipe'],
      // The leader of a process group of its own, which can be signalled as a whole.
      detached: true,
    });
    await once(child, 'spawn');
    if (hasStarted(child)) {
      return child;
    }
    throw new Error('it has no process id');
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    logger.error(
      `The agent cannot be started (${problem}); AGENT_COMMAND must name a program that can be run from the folder ${options.workingDirectory}, and names ${JSON.stringify(program)}`,
    );
    // Whoever submits tasks has no business with the folders of the service.
    throw new Error('The agent cannot be started; the log of the service says why.', {
      cause: error,
    });
  }
}

/** A running program: the leader of a process group that ends with it. */
export class AgentProcess {
  readonly output: ChildOutput;
  /**
   * Resolves when the program has exited, nobody is left in its group and its pipes are closed.
   * The output may still have to be consumed. Never rejects.
   */
  readonly closed: Promise<AgentExit>;

  readonly #child: Child;
  readonly #killGraceMs: number;
  #groupEnded: Promise<void> | undefined;

  private constructor(child: Child, killGraceMs: number) {
    this.#child = child;
    this.#killGraceMs = killGraceMs;
    this.output = new ChildOutput(child.stdout);
    this.closed = this.#untilClosed();
  }

  /**
   * @param input written to stdin, which is closed then
   * @throws {Error} when the program cannot be started
   */
  static async start(options: AgentProcessOptions, input: string): Promise<AgentProcess> {
    const child = await startChild(options);
    const agent = new AgentProcess(child, options.killGraceMs);
    // A program need not read its request: EPIPE is no failure.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    return agent;
  }

  /** Ends the program and all of its group. What it writes from now on is dropped. */
  terminate(): void {
    this.output.discard();
    void this.#endGroup();
  }

  #endGroup(): Promise<void> {
    this.#groupEnded ??= endProcessGroup(this.#child.pid, this.#killGraceMs);
    return this.#groupEnded;
  }

  async #untilClosed(): Promise<AgentExit> {
    const { pid, stdout, stderr } = this.#child;
    const forgetGroup = killProcessGroupAtExit(pid);
    const lastWords = new OutputTail();
    stderr.on('data', (chunk: Buffer) => lastWords.push(chunk));
    stderr.on('error', () => undefined);
    const closed = new Promise<void>((resolve) => {
      this.#child.once('close', () => resolve());
    });
    const exit = await new Promise<Pick<AgentExit, 'code' | 'signal'>>((resolve) => {
      this.#child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    this.output.readRest();
    await this.#endGroup();
    forgetGroup();
    const drain = setTimeout(() => {
      // Only after one more look at the pipes: the timer may be late because we were.
      setImmediate(() => {
        stdout.destroy();
        stderr.destroy();
      });
    }, DRAIN_MS);
    await closed;
    clearTimeout(drain);
    return { ...exit, lastWords: lastWords.text() };
  }
}
