import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ServiceProcess } from '../../examples/demo/service-process.js';
import { ServiceClient, statusOf } from '../support/agent-clients.js';
import { ensureBuilt } from '../support/built-package.js';
import { findFreePort } from '../support/embedded-postgres.js';
import { eventually } from '../support/eventually.js';
import { HealthClient } from '../support/health-client.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const AGENT = fileURLToPath(new URL('../../examples/agents/prime-agent.mjs', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

const LONG_TASK = {
  instruction: 'find the primes below 900000000',
  runningConfig: { steps: 5000 },
};
const SHORT_TASK = { instruction: 'find the primes below 1000', runningConfig: { steps: 1 } };

/** Longer than the service gives itself. */
const STOP_PATIENCE_MS = 60_000;

interface RunningService {
  readonly process: ServiceProcess;
  readonly agent: ServiceClient;
  readonly tasks: ServiceClient;
  readonly health: HealthClient;
}

let database: TestDatabase;
let opened: RunningService[];

beforeEach(async () => {
  await ensureBuilt();
  database = await createTestDatabase();
  opened = [];
});

afterEach(async () => {
  for (const { process: service, agent, tasks, health } of opened) {
    agent.close();
    tasks.close();
    health.close();
    await service.kill();
  }
  await database.drop();
});

async function startService(variables: Record<string, string> = {}): Promise<RunningService> {
  const port = String(await findFreePort());
  const address = `127.0.0.1:${port}`;
  const service = {
    process: await ServiceProcess.start(port, {
      TASK_STORAGE_BACKEND: 'postgres',
      POSTGRES_CONNECTION_STRING: database.connectionString,
      AGENT_COMMAND: `${process.execPath} ${AGENT}`,
      TASK_INSTANCE_ID: 'replica-1',
      ...variables,
    }),
    agent: new ServiceClient('lybic.agent.Agent', address),
    tasks: new ServiceClient('nestjs_task_storage.v1.TaskService', address),
    health: new HealthClient(address),
  };
  opened.push(service);
  return service;
}

/** Runs the service as a start that is expected to fail. */
async function startInVain(
  variables: Record<string, string>,
): Promise<{ code: unknown; output: string }> {
  const child = spawn(process.execPath, [MAIN], {
    cwd: tmpdir(),
    env: { PATH: process.env['PATH'], ...variables },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code]: unknown[] = await once(child, 'close');
  return { code, output };
}

describe('the service as a process, on Postgres', () => {
  it('says what it listens on, which storage and which runner', async () => {
    const { process: service } = await startService();
    await eventually(
      () => service.log,
      (log) => log.includes('Runner: '),
    );
    expect(service.log).toMatch(/Listening on 127\.0\.0\.1:\d+ \(gRPC\)/);
    expect(service.log).toMatch(
      /Storage: postgres at 127\.0\.0\.1:\d+\/test_\w+, table public\.agent_tasks/,
    );
    expect(service.log).toMatch(/Runner: the program .*node/);
    expect(service.log).not.toContain('postgres:postgres');
  });

  it('killed while a task runs, ends that task when its lease has ended and keeps the others', async () => {
    const first = await startService({ TASK_MAX_TASKS: '1', TASK_LEASE_MS: '1000' });
    const done = await first.agent.stream('RunAgentInstruction', SHORT_TASK).ended;
    const interrupted = first.agent.stream('RunAgentInstruction', LONG_TASK);
    await interrupted.next();
    const { taskId } = await interrupted.next();
    await first.process.kill();

    const second = await startService({ TASK_MAX_TASKS: '1', TASK_LEASE_MS: '1000' });
    expect(
      await second.agent.call('QueryTaskStatus', { taskId: done[0]?.['taskId'] }),
    ).toMatchObject({
      status: 'SUCCESS',
      result: 'There are 168 primes below 1000.',
    });
    const replayed = await second.agent.stream('GetAgentTaskStream', { taskId }).ended;
    const stages = replayed.map(({ taskStream }) => taskStream.stage);
    expect(stages[0]).toBe('starting');
    expect(stages.at(-1)).toBe('error');
    expect(await second.agent.call('QueryTaskStatus', { taskId })).toMatchObject({
      status: 'FAILURE',
      message: expect.stringContaining('the replica replica-1 that ran it was lost'),
    });
    // The interrupted task holds no place under the limit of one.
    const next = await second.agent.stream('RunAgentInstruction', SHORT_TASK).ended;
    expect(next.at(-1)).toMatchObject({ stage: 'finished' });
  });

  it('started beside another one of the same name, leaves what that one runs alone', async () => {
    const first = await startService({ TASK_LEASE_MS: '1000' });
    const running = first.agent.stream('RunAgentInstruction', LONG_TASK);
    const { taskId } = await running.next();
    const second = await startService({ TASK_LEASE_MS: '1000' });
    const expired = async (): Promise<boolean> => {
      const [row] = await database.query(
        `SELECT NOW() - started_at > INTERVAL '2 seconds' AS expired FROM agent_tasks WHERE task_id = $1`,
        [taskId],
      );
      return row?.['expired'] === true;
    };
    await eventually(expired, (isExpired) => isExpired);
    expect(await second.agent.call('QueryTaskStatus', { taskId })).toMatchObject({
      status: 'RUNNING',
    });
    running.call.cancel();
  });

  it('told to stop, ends what runs as interrupted, tells its followers, and exits with 0', async () => {
    const service = await startService({ SHUTDOWN_GRACE_MS: '0' });
    const health = service.health.watch('');
    await health.until('SERVING');
    const running = service.agent.stream('RunAgentInstruction', LONG_TASK);
    const { taskId } = await running.next();
    expect(await service.process.stop()).toBe(0);
    expect((await running.ended).at(-1)).toMatchObject({ stage: 'error' });
    expect(health.statuses.at(-1)).toBe('NOT_SERVING');
    const [row] = await database.query(
      'SELECT status, final_state, lease_owner FROM agent_tasks WHERE task_id = $1',
      [taskId],
    );
    expect(row).toEqual({ status: 'error', final_state: 'interrupted', lease_owner: null });
  });

  it('told to stop while the database has vanished without a word, ends by itself', async () => {
    const url = new URL(database.connectionString);
    const proxy = await startTcpProxy(Number(url.port));
    url.port = String(proxy.port);
    const service = await startService({
      POSTGRES_CONNECTION_STRING: url.href,
      SHUTDOWN_GRACE_MS: '0',
    });
    const running = service.agent.stream('RunAgentInstruction', LONG_TASK);
    await running.next();
    proxy.blackHole();
    // Not with the signal that ends a service which is waited for in vain.
    expect(await service.process.stop(STOP_PATIENCE_MS)).not.toBe('SIGKILL');
    await proxy.close();
  }, 90_000);

  it('stores no secret of a request, while the agent gets it', async () => {
    const showSecret =
      'let text = ""; process.stdin.on("data", (data) => (text += data)).on("end", () => ' +
      'console.log(JSON.stringify({ type: "result", result: String(JSON.parse(text).request.runningConfig.authorizationInfo.apiKey.length) })))';
    const service = await startService({ AGENT_COMMAND: `${process.execPath} -e '${showSecret}'` });
    const { taskId } = await service.agent.call('RunAgentInstructionAsync', {
      instruction: 'look',
      runningConfig: {
        authorizationInfo: { orgID: 'marked-org', apiKey: 'marked-secret-1' },
        stageModelConfig: { groundingModel: { modelName: 'm', apiKey: 'marked-secret-2' } },
      },
    });
    const answer = await eventually(
      async () => service.agent.call('QueryTaskStatus', { taskId }),
      ({ status }) => status === 'SUCCESS',
    );
    expect(answer).toMatchObject({ result: String('marked-secret-1'.length) });
    const rows = await database.query('SELECT t::text AS row FROM agent_tasks AS t');
    expect(JSON.stringify(rows)).toContain('********');
    expect(JSON.stringify(rows) + service.process.log).not.toContain('marked-');
  });

  it('tells the database from the task: a lost one is UNAVAILABLE, and NOT_SERVING', async () => {
    const url = new URL(database.connectionString);
    const proxy = await startTcpProxy(Number(url.port));
    url.port = String(proxy.port);
    const service = await startService({ POSTGRES_CONNECTION_STRING: url.href });
    const health = service.health.watch('');
    await health.until('SERVING');
    proxy.cut();
    await health.until('NOT_SERVING');
    const error = await statusOf(service.agent.call('QueryTaskStatus', { taskId: 'any' }));
    expect(error).toMatchObject({
      code: 14,
      details: 'The task storage is unavailable; try again',
    });
    proxy.restore();
    await health.until('SERVING');
    expect(await service.agent.call('QueryTaskStatus', { taskId: 'any' })).toMatchObject({
      status: 'NOT_FOUND',
      message: 'Task with ID any not found.',
    });
    health.cancel();
    await service.process.stop();
    await proxy.close();
  });
});

describe('a start with a wrong configuration', () => {
  it.each<[string, Record<string, string>, string]>([
    [
      'an unknown backend',
      { TASK_STORAGE_BACKEND: 'postgress' },
      'TASK_STORAGE_BACKEND is "postgress"; write memory or postgres\n',
    ],
    [
      'no connection string',
      { TASK_STORAGE_BACKEND: 'postgres' },
      'TASK_STORAGE_BACKEND=postgres needs POSTGRES_CONNECTION_STRING, for example postgresql://user:password@localhost:5432/agent_tasks\n',
    ],
    [
      'a wrong port',
      { GRPC_PORT: 'http' },
      'GRPC_PORT is "http"; write a whole number from 1 to 65535\n',
    ],
    [
      'a port that lets everybody in',
      { GRPC_HOST: '0.0.0.0' },
      'The service would listen on 0.0.0.0:50051 (GRPC_HOST) and let everybody in; write 127.0.0.1',
    ],
    [
      'a certificate without its key',
      { GRPC_TLS_CERT: '/etc/agent/tls.crt' },
      'GRPC_TLS_KEY is not set, and TLS needs it; write the path of a PEM file',
    ],
    ['a command that cannot be read', { AGENT_COMMAND: 'agent "unclosed' }, 'AGENT_COMMAND'],
  ])('ends with 1 and one sentence: %s', async (_what, variables, sentence) => {
    const { code, output } = await startInVain(variables);
    expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining(sentence) });
    expect(output.trim().split('\n')).toHaveLength(1);
  });

  it('names the port that somebody else listens on', async () => {
    const first = await startService({ TASK_STORAGE_BACKEND: 'memory' });
    const port = /Listening on 127\.0\.0\.1:(\d+)/.exec(
      await eventually(
        () => first.process.log,
        (log) => log.includes('Listening on'),
      ),
    )?.[1];
    const { code, output } = await startInVain({ GRPC_PORT: port ?? '' });
    expect(code).toBe(1);
    expect(output).toContain(
      `GRPC_PORT is ${port}, where the service cannot listen; write another`,
    );
  });
});
