import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { findFreePort } from '../support/embedded-postgres.js';
import { HealthClient, type HealthWatch } from '../support/health-client.js';

const CLOCK_SHIFT = new URL('./clock-shift.mjs', import.meta.url).href;
const AGENT = fileURLToPath(new URL('./agent.sh', import.meta.url));
const START_LIMIT_MS = 30_000;

const replySchema = z.object({
  kind: z.string(),
  memory: z.object({ rss: z.number(), heapUsed: z.number() }),
});

/** What a process that ends in a way nobody planned writes. */
const CRASH = /unhandled|uncaught|ERR_UNHANDLED|MaxListenersExceeded|TypeError|ReferenceError/i;

/** The built service as a process that is never started again, whatever happens around it. */
export class ServiceUnderTest {
  readonly #child: ChildProcess;
  readonly #exited: Promise<string>;
  #log = '';
  #exit: string | null = null;

  private constructor(
    child: ChildProcess,
    readonly address: string,
  ) {
    this.#child = child;
    this.#exited = once(child, 'exit').then(([code, signal]: unknown[]) => {
      this.#exit = String(code ?? signal);
      return this.#exit;
    });
    for (const output of [child.stdout, child.stderr]) {
      output?.on('data', (chunk: Buffer) => {
        this.#log += chunk.toString();
      });
    }
    process.once('exit', () => child.kill('SIGKILL'));
  }

  static async start(
    main: string,
    variables: Readonly<Record<string, string>>,
  ): Promise<ServiceUnderTest> {
    const port = String(await findFreePort());
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(process.execPath, ['--expose-gc', '--import', CLOCK_SHIFT, main], {
      // Has no `.env` file that the service would read.
      cwd: tmpdir(),
      env: {
        PATH,
        HOME,
        GRPC_HOST: '127.0.0.1',
        GRPC_PORT: port,
        AGENT_COMMAND: `sh "${AGENT}"`,
        ...variables,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const service = new ServiceUnderTest(child, `127.0.0.1:${port}`);
    const health = new HealthClient(service.address);
    const deadlineMs = Date.now() + START_LIMIT_MS;
    while ((await health.check('').catch(() => '')) !== 'SERVING') {
      if (service.#exit !== null || Date.now() > deadlineMs) {
        throw new Error(`The service did not start:\n${service.#log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    health.close();
    return service;
  }

  get log(): string {
    return this.#log;
  }

  /** The lines of its output, and its end, that no fault excuses. */
  get crashes(): readonly string[] {
    const lines = this.#log.split('\n').filter((line) => CRASH.test(line));
    return this.#exit === null ? lines : [...lines, `the service ended with ${this.#exit}`];
  }

  /** Sets its clock to be wrong by so much. */
  async shiftClock(shiftMs: number): Promise<void> {
    await this.#ask({ kind: 'clock', shiftMs });
  }

  /** What it holds after a collection of garbage, in bytes. */
  async measureMemory(): Promise<{ rss: number; heapUsed: number }> {
    return (await this.#ask({ kind: 'memory' })).memory;
  }

  watchHealth(): { readonly watch: HealthWatch; readonly close: () => void } {
    const client = new HealthClient(this.address);
    const watch = client.watch('');
    return {
      watch,
      close: () => {
        watch.cancel();
        client.close();
      },
    };
  }

  /** Asks it to end. @returns its exit code or signal, and how long it took, in milliseconds */
  async stop(limitMs: number): Promise<{ exit: string; tookMs: number }> {
    const startedMs = performance.now();
    this.#child.kill('SIGTERM');
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), limitMs);
    const exit = await this.#exited;
    clearTimeout(impatience);
    return { exit, tookMs: performance.now() - startedMs };
  }

  async #ask(message: object): Promise<z.output<typeof replySchema>> {
    const answered = once(this.#child, 'message');
    this.#child.send(message);
    const [reply]: unknown[] = await answered;
    return replySchema.parse(reply);
  }
}
