import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { AgentClient } from './agent-client.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** Has no `.env` file that the service would read. */
const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 20_000;

/** The built service, running as a process of its own. */
export class ServiceProcess {
  readonly client: AgentClient;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<NodeJS.Signals | number>;
  #log = '';

  private constructor(child: ChildProcess, port: string) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.client = new AgentClient(`127.0.0.1:${port}`);
    this.#exited = once(child, 'exit').then(([code, signal]: unknown[]) =>
      typeof signal === 'string' ? (signal as NodeJS.Signals) : Number(code),
    );
    for (const output of [child.stdout, child.stderr]) {
      output?.on('data', (chunk: Buffer) => {
        this.#log += chunk.toString();
      });
    }
    // Whatever becomes of the demo, the service does not outlive it.
    process.once('exit', () => child.kill('SIGKILL'));
  }

  /** Starts the service and waits until it answers. */
  static async start(port: string, variables: Record<string, string>): Promise<ServiceProcess> {
    if (!existsSync(MAIN)) {
      throw new Error('The service is not built; run npm run build');
    }
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(process.execPath, [MAIN], {
      cwd: FOLDER,
      env: { PATH, HOME, GRPC_HOST: '127.0.0.1', GRPC_PORT: port, ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const service = new ServiceProcess(child, port);
    await Promise.race([
      service.client.ready(START_LIMIT_MS),
      service.#exited.then((exit) => {
        throw new Error(`The service ended with ${exit} instead of starting:\n${service.#log}`);
      }),
    ]);
    return service;
  }

  /** What the service has written so far. */
  get log(): string {
    return this.#log;
  }

  /** Kills the service as a power failure would: it cannot do a thing about it. */
  async kill(): Promise<NodeJS.Signals | number> {
    this.#child.kill('SIGKILL');
    return this.#ended();
  }

  /**
   * Asks the service to end, and kills it when it does not.
   *
   * @returns its exit code, or the signal that ended it
   */
  async stop(limitMs = STOP_LIMIT_MS): Promise<NodeJS.Signals | number> {
    this.#child.kill('SIGTERM');
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), limitMs);
    const exit = await this.#ended();
    clearTimeout(impatience);
    return exit;
  }

  async #ended(): Promise<NodeJS.Signals | number> {
    const exit = await this.#exited;
    this.client.close();
    return exit;
  }
}
