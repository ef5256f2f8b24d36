import { afterAll, afterEach, beforeAll, beforeEach, describe } from '@jest/globals';
import type { AgentModuleOptions } from '../../src/agent/agent-options.js';
import type { AgentOutcome } from '../../src/agent/agent-runner.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { startAgentService, type AgentService } from './agent-service.js';
import { ScriptedRunner } from './scripted-runner.js';
import { taskStorageBackends, type OpenBackend } from './task-storage-backends.js';

/** A service that is new for each test, on a storage that the tests of a suite share. */
export class AgentSuite {
  #backend: OpenBackend | null = null;
  #service: AgentService | null = null;
  runner = new ScriptedRunner();

  constructor(private readonly options: AgentModuleOptions) {}

  get storage(): TaskStorage {
    return this.#started(this.#backend).storage;
  }

  get service(): AgentService {
    return this.#started(this.#service);
  }

  async open(backend: OpenBackend): Promise<void> {
    this.#backend = backend;
  }

  async start(): Promise<void> {
    this.runner = new ScriptedRunner();
    this.#service = await startAgentService(this.storage, this.runner, this.options);
  }

  /** Submits a task that outlives its call. */
  async submit(request: object = {}): Promise<string> {
    const answer = await this.service.agent.call('RunAgentInstructionAsync', {
      instruction: 'open the calculator',
      ...request,
    });
    return answer.taskId;
  }

  /** Submits a task and lets it end. */
  async runToEnd(outcome: AgentOutcome = {}, request: object = {}): Promise<string> {
    const taskId = await this.submit(request);
    (await this.runner.next()).finish(outcome);
    await this.ended(taskId);
    return taskId;
  }

  /** Resolves when a task has ended. */
  async ended(taskId: string): Promise<void> {
    await this.service.agent.stream('GetAgentTaskStream', { taskId }).ended;
  }

  #started<T>(value: T | null): T {
    if (value === null) {
      throw new Error('The suite has not been started');
    }
    return value;
  }
}

/** Runs the same tests on a service with each of the backends. */
export function describeAgentService(
  title: string,
  define: (suite: AgentSuite) => void,
  options: AgentModuleOptions = {},
): void {
  describe.each(taskStorageBackends)(`${title} on $name`, ({ open }) => {
    const suite = new AgentSuite(options);
    let backend: OpenBackend;

    beforeAll(async () => {
      backend = await open();
      await suite.open(backend);
    });
    afterAll(async () => backend.close());
    beforeEach(async () => suite.start());
    afterEach(async () => {
      await suite.service.stop();
      await suite.service.close();
    });

    define(suite);
  });
}
