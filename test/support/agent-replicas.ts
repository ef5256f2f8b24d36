import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import type { AgentModuleOptions } from '../../src/agent/agent-options.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import type { NewTask, Task } from '../../src/task/task.js';
import type { Headers } from './agent-clients.js';
import { startAgentService, type AgentService } from './agent-service.js';
import { eventually } from './eventually.js';
import { interceptStorage, type InterceptedStorage } from './intercepted-storage.js';
import { forgetfulStorage, type ForgetfulStorage } from './lost-answers.js';
import { ManualChanges, withChanges } from './manual-changes.js';
import { ManualClock } from './manual-clock.js';
import { passTime } from './pass-time.js';
import { quietStorage } from './quiet-storage.js';
import { ScriptedRunner } from './scripted-runner.js';
import { taskStorageBackends, type OpenBackend } from './task-storage-backends.js';

/** The default of the service. */
const LEASE_MS = 30_000;
const RENEWAL_MS = LEASE_MS / 6;
const SEARCH_MS = LEASE_MS / 3;

/** One replica of a service: its clock stands still until a test moves it. */
export interface Replica {
  readonly name: string;
  readonly service: AgentService;
  readonly runner: ScriptedRunner;
  readonly clock: ManualClock;
  /** The hints that it hears. */
  readonly changes: ManualChanges;
  /** Its own line to the storage of all. */
  readonly line: InterceptedStorage;
  /** What it asks of the storage next is carried out, and not answered. */
  readonly loseAnswers: ForgetfulStorage['loseAnswers'];
  /** Resolves when it does not wait for the storage. */
  quiet(): Promise<void>;
}

/** How a replica is started; `null` for one that runs no tasks. */
export interface ReplicaOptions extends AgentModuleOptions {
  readonly runner?: ScriptedRunner | null;
}

/** Replicas on one storage. What a test starts is stopped after it. */
export class Replicas {
  #backend: OpenBackend | null = null;
  readonly #running: Replica[] = [];
  readonly #storages: TaskStorage[] = [];

  constructor(private readonly options: AgentModuleOptions) {}

  get backend(): OpenBackend {
    if (this.#backend === null) {
      throw new Error('The suite has not been started');
    }
    return this.#backend;
  }

  /** For a test to look at. */
  get storage(): TaskStorage {
    return this.backend.storage;
  }

  open(backend: OpenBackend): void {
    this.#backend = backend;
  }

  async start(name: string, { runner, ...options }: ReplicaOptions = {}): Promise<Replica> {
    const own = await this.backend.openAnother();
    this.#storages.push(own);
    const changes = new ManualChanges();
    const forgetful = forgetfulStorage(withChanges(own, changes));
    const line = interceptStorage(forgetful.storage);
    const counted = quietStorage(line.storage);
    const clock = new ManualClock();
    const scripted = runner ?? new ScriptedRunner();
    const service = await startAgentService(counted.storage, runner === null ? null : scripted, {
      ...this.options,
      ...options,
      instanceId: name,
      clock,
    });
    const replica: Replica = {
      name,
      service,
      runner: scripted,
      clock,
      changes,
      line,
      loseAnswers: (...lost) => forgetful.loseAnswers(...lost),
      quiet: async () => counted.quiet(),
    };
    this.#running.push(replica);
    await replica.quiet();
    return replica;
  }

  /** @returns the stored task; fails when there is none */
  async task(taskId: string): Promise<Task> {
    const task = await this.storage.getTask(taskId);
    if (task === null) {
      throw new Error(`There is no task ${taskId}`);
    }
    return task;
  }

  /** Resolves with the task as soon as it is as it should be. */
  async untilTask(taskId: string, isRight: (task: Task) => boolean): Promise<Task> {
    return eventually(async () => this.task(taskId), isRight);
  }

  async stagesOf(taskId: string): Promise<string[]> {
    return (await this.storage.listEvents(taskId)).map(({ stage }) => stage);
  }

  /** Lets the lease of a task end now, as if its owner had not renewed it. */
  async expireLease(taskId: string): Promise<void> {
    const { leaseOwner } = await this.task(taskId);
    await this.storage.leases.renew({ owner: leaseOwner ?? '', leaseMs: 1, taskIds: [taskId] });
    await this.#untilExpired(taskId);
  }

  /** Stores a task of a replica that is lost: its lease has ended. */
  async createLost(task: Partial<NewTask> & { taskId: string }, owner: string): Promise<void> {
    const complete = { query: 'q', maxSteps: 1, ...task };
    await this.storage.createTask(complete, { lease: { owner, leaseMs: 1 } });
    await this.#untilExpired(task.taskId);
  }

  async #untilExpired(taskId: string): Promise<void> {
    // Postgres has a clock of its own, which is that of the same machine.
    await this.untilTask(taskId, (task) => Date.now() > (task.leaseExpiresAt?.getTime() ?? 0));
  }

  async removeAll(): Promise<void> {
    for (const replica of this.#running.splice(0)) {
      replica.line.intercept(null);
      await passTime(replica.clock, replica.service.stop());
      await passTime(replica.clock, replica.service.close());
    }
    const { tasks } = await this.storage.listTasks({ limit: 1_000 });
    await Promise.all(tasks.map(async ({ taskId }) => this.storage.deleteTask(taskId)));
    for (const storage of this.#storages.splice(0)) {
      if (storage !== this.storage) {
        await storage.close();
      }
    }
  }
}

export async function submitTo(
  { service }: Replica,
  request: object = {},
  headers: Headers = {},
): Promise<string> {
  const answer = await service.agent.call(
    'RunAgentInstructionAsync',
    { instruction: 'open the calculator', ...request },
    headers,
  );
  return answer.taskId;
}

/** Lets time pass for a replica, but not while it waits for the storage. */
export async function pass(replica: Replica, ms: number): Promise<void> {
  await replica.quiet();
  for (let passed = 0; passed < ms; passed += RENEWAL_MS) {
    await replica.clock.advance(Math.min(RENEWAL_MS, ms - passed));
    await replica.quiet();
  }
}

/** Has a replica look for the tasks of lost replicas once, and take over what it finds. */
export async function search(replica: Replica): Promise<void> {
  await pass(replica, SEARCH_MS);
}

/** Has a replica renew its leases once. */
export async function renew(replica: Replica): Promise<void> {
  await pass(replica, RENEWAL_MS);
}

/** Stops a replica, letting no more time pass than it is given. */
export async function stopReplica({ service, clock }: Replica, graceMs = 0): Promise<void> {
  const stopped = service.stop().then(
    () => true,
    () => true,
  );
  await clock.advance(graceMs);
  const wait = async () => clock.advance(0).then(async () => nextTurn(false));
  while (!(await Promise.race([stopped, wait()]))) {
    // What is under way goes on, and no time passes.
  }
}

/** Runs the same tests on replicas that share each of the backends. */
export function describeReplicas(
  title: string,
  define: (replicas: Replicas) => void,
  options: AgentModuleOptions = {},
): void {
  describe.each(taskStorageBackends)(`${title} on $name`, ({ open }) => {
    const replicas = new Replicas(options);
    let backend: OpenBackend;

    beforeAll(async () => {
      backend = await open();
      replicas.open(backend);
    });
    afterAll(async () => backend.close());
    afterEach(async () => replicas.removeAll());

    define(replicas);
  });
}
