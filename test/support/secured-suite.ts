import { afterAll, afterEach, beforeAll, beforeEach, describe } from '@jest/globals';
import type { AgentModuleOptions } from '../../src/agent/agent-options.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { startAgentService, type AgentService } from './agent-service.js';
import { bearer, TokensFile, type TokenEntry } from './tokens-file.js';
import type { Headers } from './agent-clients.js';
import { ScriptedRunner } from './scripted-runner.js';
import { taskStorageBackends, type OpenBackend } from './task-storage-backends.js';

/** Two tenants with a token for each role, and an operator of all tenants. */
export const TOKENS: readonly TokenEntry[] = [
  { token: 'acme-read', tenant: 'acme', role: 'read' },
  { token: 'acme-run', tenant: 'acme', role: 'run' },
  { token: 'acme-admin', tenant: 'acme', role: 'admin' },
  { token: 'rival-admin', tenant: 'rival', role: 'admin' },
  { token: 'operator', tenant: '*', role: 'admin' },
];

/** A service that asks for tokens, new for each test. */
export interface SecuredSuite {
  readonly storage: TaskStorage;
  readonly service: AgentService;
  readonly runner: ScriptedRunner;
  /** Submits a task that goes on. */
  submit(headers: Headers, request?: object): Promise<string>;
}

/** Runs the same tests on a service that asks for tokens, with each of the backends. */
export function describeSecuredService(
  title: string,
  define: (suite: SecuredSuite) => void,
  options: AgentModuleOptions = {},
): void {
  describe.each(taskStorageBackends)(`${title} on $name`, ({ open }) => {
    let backend: OpenBackend;
    let tokens: TokensFile;
    let service: AgentService;
    let runner: ScriptedRunner;

    beforeAll(async () => {
      backend = await open();
      tokens = await TokensFile.create(TOKENS);
    });
    afterAll(async () => {
      await tokens.remove();
      await backend.close();
    });
    beforeEach(async () => {
      runner = new ScriptedRunner();
      service = await startAgentService(backend.storage, runner, {
        maxTasks: 100,
        ...options,
        port: { auth: { tokensFile: tokens.path } },
      });
    });
    afterEach(async () => {
      await service.stop();
      await service.close();
    });

    define({
      get storage() {
        return backend.storage;
      },
      get service() {
        return service;
      },
      get runner() {
        return runner;
      },
      submit: async (headers, request = {}) => {
        const submission = { instruction: 'open the calculator', ...request };
        const { taskId } = await service.agent.call(
          'RunAgentInstructionAsync',
          submission,
          headers,
        );
        return taskId;
      },
    });
  });
}

/** The metadata of a token of {@link TOKENS}. */
export const ACME = bearer('acme-admin');
export const RIVAL = bearer('rival-admin');
export const OPERATOR = bearer('operator');
