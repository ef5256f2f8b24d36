import { setTimeout as delay } from 'node:timers/promises';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import type { Disturbance } from './evidence.js';
import type { Random } from './random.js';
import type { ReplicaClient } from './replica-client.js';
import { ReplicaProcess } from './replica-process.js';

const PAUSE_MS = 20;
const UNWELL_PERCENT = 5;

/** What every replica of a cluster is started with. */
export interface ClusterSettings {
  /** The `main.js` to run. */
  readonly main: string;
  readonly names: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly connectionString: string;
}

/** Replicas that can be killed, stopped and cut off from the database one by one. */
export class Cluster {
  readonly #running = new Map<string, ReplicaProcess>();
  readonly #logs: { readonly name: string; readonly replica: ReplicaProcess }[] = [];
  /** Between each replica and the database; a statement that was held there arrives long after it was sent. */
  readonly #lines = new Map<string, TcpProxy>();
  /** Those that run and do not answer. */
  readonly #unwell = new Set<string>();
  readonly disturbances: Disturbance[] = [];
  /** Replicas that ended without being killed. */
  readonly failures: string[] = [];
  #restarts = 0;
  #isStopped = false;

  constructor(private readonly settings: ClusterSettings) {}

  /** Starts the first replica, which creates the tables, and then the others. */
  async start(onTablesExist: () => Promise<void>): Promise<void> {
    const [first, ...others] = this.settings.names;
    if (first === undefined) {
      throw new Error('A cluster needs a name for each of its replicas');
    }
    const port = Number(new URL(this.settings.connectionString).port);
    for (const name of this.settings.names) {
      this.#lines.set(name, await startTcpProxy(port));
    }
    await this.#start(first);
    await onTablesExist();
    await Promise.all(others.map(async (name) => this.#start(name)));
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** The replicas that are neither dead nor stopped nor cut off. */
  get healthy(): readonly string[] {
    return [...this.#running.keys()].filter((name) => !this.#unwell.has(name)).sort();
  }

  /** A client of any replica that is not dead, seldom of one that is not well: it answers late. */
  async pick(random: Random, signal: AbortSignal): Promise<ReplicaClient> {
    while (this.healthy.length === 0) {
      await delay(PAUSE_MS, undefined, { signal });
    }
    const unwell = [...this.#unwell].sort();
    const names = unwell.length > 0 && random.happens(UNWELL_PERCENT) ? unwell : this.healthy;
    return this.#replica(random.pick(names)).client;
  }

  /** Whether the replica is well, and not the last one that is. */
  #canBeSpared(name: string): boolean {
    return this.healthy.includes(name) && this.healthy.length > 1;
  }

  /** Kills a replica and starts it again after a while. This and the others spare the last one. */
  async kill(name: string, deadMs: number): Promise<void> {
    if (!this.#canBeSpared(name)) {
      return;
    }
    const fromMs = Date.now();
    const replica = this.#replica(name);
    this.#running.delete(name);
    await replica.kill();
    await delay(deadMs);
    await this.#start(name);
    this.#restarts += 1;
    this.disturbances.push({ kind: 'kill', replica: name, fromMs, untilMs: Date.now() });
  }

  /** Stops a replica in the middle of whatever it does: its leases end, and it does not know it. */
  async stall(name: string, end: () => Promise<void>): Promise<void> {
    if (!this.#canBeSpared(name)) {
      return;
    }
    const fromMs = Date.now();
    const replica = this.#replica(name);
    this.#unwell.add(name);
    replica.stall();
    await end();
    replica.goOn();
    this.#unwell.delete(name);
    this.disturbances.push({ kind: 'stall', replica: name, fromMs, untilMs: Date.now() });
  }

  /** Cuts a replica off from the database: its leases end, and what it has sent arrives afterwards. */
  async cutOff(name: string, end: () => Promise<void>): Promise<void> {
    if (!this.#canBeSpared(name)) {
      return;
    }
    const fromMs = Date.now();
    this.#unwell.add(name);
    this.#lines.get(name)?.pause();
    await end();
    this.#lines.get(name)?.restore();
    this.#unwell.delete(name);
    this.disturbances.push({ kind: 'cut-off', replica: name, fromMs, untilMs: Date.now() });
  }

  /** Kills all, even those that are still being started. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const replicas = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(replicas.map(async (replica) => replica.kill()));
    await Promise.all([...this.#lines.values()].map(async (line) => line.close()));
  }

  /** What all starts of all replicas wrote. */
  get log(): string {
    return this.#logs.map(({ name, replica }) => `== ${name}\n${replica.log}`).join('\n');
  }

  #replica(name: string): ReplicaProcess {
    const replica = this.#running.get(name);
    if (replica === undefined) {
      throw new Error(`${name} does not run`);
    }
    return replica;
  }

  async #start(name: string): Promise<void> {
    const { main, variables, connectionString } = this.settings;
    const url = new URL(connectionString);
    url.port = String(this.#lines.get(name)?.port);
    const replica = await ReplicaProcess.start(main, name, {
      ...variables,
      POSTGRES_CONNECTION_STRING: url.href,
    });
    if (this.#isStopped) {
      await replica.kill();
      return;
    }
    this.#running.set(name, replica);
    this.#logs.push({ name, replica });
    void this.#noticeEnd(name, replica);
  }

  async #noticeEnd(name: string, replica: ReplicaProcess): Promise<void> {
    const exit = await replica.exited;
    if (this.#running.get(name) === replica) {
      this.#running.delete(name);
      this.failures.push(`${name} ended by itself with ${exit}`);
    }
  }
}
