import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { findFreePort } from '../support/embedded-postgres.js';
import { ReplicaClient } from './replica-client.js';

const START_LIMIT_MS = 60_000;

/*
 * Beside `ServiceProcess` of the demo this one runs any build, not only that in `dist`, can be
 * stalled, and takes a new port at each start: on a port kept while the process is dead, an outgoing
 * connection of another process may sit meanwhile.
 */

const alive = new Set<ChildProcess>();

/** Whatever becomes of the test, no replica outlives it, not even one that is being started. */
function killAll(): void {
  alive.forEach((child) => child.kill('SIGKILL'));
}

/** One start of a replica. */
export class ReplicaProcess {
  #log = '';
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exited: Promise<string>;

  private constructor(
    private readonly child: ChildProcess,
    readonly client: ReplicaClient,
  ) {
    if (alive.size === 0) {
      process.on('exit', killAll);
    }
    alive.add(child);
    this.exited = once(child, 'exit').then(([code, signal]: unknown[]) => {
      alive.delete(child);
      if (alive.size === 0) {
        process.off('exit', killAll);
      }
      return String(code ?? signal);
    });
    for (const output of [child.stdout, child.stderr]) {
      output?.on('data', (chunk: Buffer) => {
        this.#log += chunk.toString();
      });
    }
  }

  /** Starts the service and waits until it answers. */
  static async start(
    main: string,
    name: string,
    variables: Readonly<Record<string, string>>,
  ): Promise<ReplicaProcess> {
    const port = String(await findFreePort());
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(process.execPath, [main], {
      // Has no `.env` file that the service would read.
      cwd: tmpdir(),
      env: {
        PATH,
        HOME,
        GRPC_HOST: '127.0.0.1',
        GRPC_PORT: port,
        TASK_INSTANCE_ID: name,
        ...variables,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const replica = new ReplicaProcess(child, new ReplicaClient(name, `127.0.0.1:${port}`));
    try {
      await Promise.race([
        replica.client.ready(START_LIMIT_MS),
        replica.exited.then((exit) => {
          throw new Error(`it ended with ${exit}`);
        }),
      ]);
      return replica;
    } catch (error) {
      await replica.kill();
      throw new Error(`${name} did not start: ${String(error)}\n${replica.#log}`, { cause: error });
    }
  }

  /** What it has written so far. */
  get log(): string {
    return this.#log;
  }

  /** The process stops in the middle of whatever it does, and does not know it. */
  stall(): void {
    this.child.kill('SIGSTOP');
  }

  goOn(): void {
    this.child.kill('SIGCONT');
  }

  /** Kills the process as a power failure would. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
    this.client.close();
  }
}
