import { readdir, readFile, readlink } from 'node:fs/promises';
import { ServiceProcess } from '../../examples/demo/service-process.js';
import { Random } from '../cluster/random.js';
import { ServiceClient } from '../support/agent-clients.js';
import { InputCounts } from '../support/input-counts.js';
import type { Attacker } from './attacker.js';
import { attacks } from './attacks.js';

/** How much is tried. */
export interface FuzzPlan {
  readonly seed: number;
  /** How often each attack is run. */
  readonly rounds: number;
}

/** What is left of a fuzzed service. */
export interface FuzzReport {
  readonly counts: InputCounts;
  /** Right answers that a client beside it got meanwhile. */
  readonly controlAnswers: number;
  /** Answers that were wrong, or failed. */
  readonly controlFailures: readonly string[];
  readonly socketsBefore: number;
  readonly rssAfterMib: number;
}

const MIB_IN_KIB = 1024;

/** How many sockets a process has open. Linux only, as the tests of processes. */
export async function openSockets(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all(
    (await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => '')),
  );
  return targets.filter((target) => target.startsWith('socket:')).length;
}

/** The memory of a process that is in RAM, in MiB. */
export async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kib = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  return Math.round(Number(kib) / MIB_IN_KIB);
}

/** Asks for what is known, all the time, as a client that has nothing to do with the attacks. */
class ControlClient {
  answers = 0;
  readonly failures: string[] = [];
  #isOver = false;
  readonly #asking: Promise<void>;

  constructor(
    private readonly agent: ServiceClient,
    private readonly taskId: string,
  ) {
    this.#asking = this.#ask();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#asking;
  }

  async #ask(): Promise<void> {
    while (!this.#isOver) {
      const answer: unknown = await this.agent
        .call('QueryTaskStatus', { taskId: this.taskId })
        .catch(String);
      const text = JSON.stringify(answer);
      if (text.includes('There are 168 primes below 1000.') && text.includes('SUCCESS')) {
        this.answers += 1;
      } else {
        this.failures.push(text);
      }
    }
  }
}

/** Runs every attack, each so often, in an order of the seed's. */
export async function fuzz(
  service: ServiceProcess,
  port: number,
  { seed, rounds }: FuzzPlan,
): Promise<FuzzReport> {
  const counts = new InputCounts(`protocol, seed ${seed}`);
  const random = new Random(seed);
  const agent = new ServiceClient('lybic.agent.Agent', `127.0.0.1:${port}`);
  try {
    const stages = await agent.stream('RunAgentInstruction', {
      instruction: 'find the primes below 1000',
      runningConfig: { steps: 1 },
    }).ended;
    const socketsBefore = await openSockets(service.pid);
    const control = new ControlClient(agent, stages[0]?.taskId ?? '');
    for (let round = 0; round < rounds; round += 1) {
      const lingering: (Attacker | null)[] = [];
      const order = attacks
        .map((attack) => ({ attack, place: random.fraction() }))
        .toSorted((one, other) => one.place - other.place);
      for (const { attack } of order) {
        counts.add(attack.kind);
        lingering.push(await attack.run(port, random.derive(`${attack.kind} ${round}`)));
      }
      lingering.forEach((attacker) => attacker?.hangUp());
    }
    await control.stop();
    return {
      counts,
      controlAnswers: control.answers,
      controlFailures: control.failures,
      socketsBefore,
      rssAfterMib: await residentMib(service.pid),
    };
  } finally {
    agent.close();
  }
}
