import { afterAll, beforeAll, describe } from '@jest/globals';
import type { Server } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Role } from '../../src/agent/auth/rpc-access.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import type { Headers } from './agent-clients.js';
import { startAgentService, type AgentService } from './agent-service.js';
import { interceptStorage, type InterceptedStorage } from './intercepted-storage.js';
import { RawClient } from './raw-calls.js';
import { ScriptedRunner, type ScriptedRun } from './scripted-runner.js';
import { taskStorageBackends, type OpenBackend } from './task-storage-backends.js';
import { bearer, TokensFile } from './tokens-file.js';

/** Tokens that {@link SecuredSuite} knows: two tenants, and an operator of all of them. */
const TOKENS = [
  { token: 'acme-read', tenant: 'acme', role: 'read' },
  { token: 'acme-run', tenant: 'acme', role: 'run' },
  { token: 'acme-admin', tenant: 'acme', role: 'admin' },
  { token: 'rival-admin', tenant: 'rival', role: 'admin' },
  { token: 'all-read', tenant: '*', role: 'read' },
  { token: 'all-run', tenant: '*', role: 'run' },
  { token: 'all-admin', tenant: '*', role: 'admin' },
] as const satisfies { token: string; tenant: string; role: Role }[];

/** The metadata of each token, by its name. */
export const AS = Object.fromEntries(TOKENS.map(({ token }) => [token, bearer(token)])) as Readonly<
  Record<(typeof TOKENS)[number]['token'], Headers>
>;

const OF_THE_SERVICE: ReadonlySet<string> = new Set(['renew', 'claimExpired', 'claimQueued']);

/** A service that asks for tokens. */
export class SecuredSuite {
  readonly #tokens: TokensFile;
  readonly #intercepted: InterceptedStorage;
  #service: AgentService | null = null;
  #raw: RawClient | null = null;
  #server: Server | null = null;
  readonly runner = new ScriptedRunner();

  constructor(backend: OpenBackend, tokens: TokensFile) {
    this.#tokens = tokens;
    this.#intercepted = interceptStorage(backend.storage);
  }

  get storage(): TaskStorage {
    return this.#intercepted.storage;
  }

  get service(): AgentService {
    return started(this.#service);
  }

  get raw(): RawClient {
    return started(this.#raw);
  }

  /** The path of every RPC that the server answers. */
  get servedPaths(): string[] {
    const handlers = Reflect.get(started(this.#server), 'handlers') as Map<string, unknown>;
    return [...handlers.keys()];
  }

  async start(): Promise<void> {
    this.#service = await startAgentService(this.storage, this.runner, {
      maxTasks: 100,
      allowSetGlobalConfig: true,
      port: {
        auth: { tokensFile: this.#tokens.path },
        services: [
          (server) => {
            this.#server = server;
            new HealthImplementation({ '': 'SERVING' }).addToServer(server);
          },
        ],
      },
    });
    this.#raw = new RawClient(this.#service.address);
  }

  async stop(): Promise<void> {
    this.raw.close();
    await this.service.stop();
    await this.service.close();
  }

  /** Submits a task that goes on. */
  async submit(headers: Headers, request: object = {}): Promise<ScriptedRun> {
    const submission = { instruction: 'open the calculator', ...request };
    const { agent } = this.service;
    const { taskId } = await agent.call('RunAgentInstructionAsync', submission, headers);
    for (;;) {
      const run = await this.runner.next();
      if (run.taskId === taskId) {
        return run;
      }
    }
  }

  /** Submits a task and lets it end. */
  async runToEnd(headers: Headers): Promise<string> {
    const run = await this.submit(headers);
    run.finish();
    await this.service.agent.stream('GetAgentTaskStream', { taskId: run.taskId }, headers).ended;
    return run.taskId;
  }

  /** What the storage is asked for by some work, but for what the service does by itself. */
  async operationsOf(work: () => Promise<unknown>): Promise<string[]> {
    const operations: string[] = [];
    this.#intercepted.intercept(async (operation) => {
      if (!OF_THE_SERVICE.has(operation)) {
        operations.push(operation);
      }
    });
    await work();
    this.#intercepted.intercept(null);
    return operations;
  }
}

function started<T>(value: T | null): T {
  if (value === null) {
    throw new Error('The suite has not been started');
  }
  return value;
}

/** Runs the same tests on a service that asks for tokens, with each of the backends. */
export function describeSecuredService(
  title: string,
  define: (suite: () => SecuredSuite) => void,
): void {
  describe.each(taskStorageBackends)(`${title} on $name`, ({ open }) => {
    let backend: OpenBackend;
    let tokens: TokensFile;
    let suite: SecuredSuite;

    beforeAll(async () => {
      backend = await open();
      tokens = await TokensFile.create(TOKENS);
      suite = new SecuredSuite(backend, tokens);
      await suite.start();
    });
    afterAll(async () => {
      await suite.stop();
      await tokens.remove();
      await backend.close();
    });
    define(() => suite);
  });
}
