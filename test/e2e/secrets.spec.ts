import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { ServiceProcess } from '../../examples/demo/service-process.js';
import { ServiceClient } from '../support/agent-clients.js';
import { ensureBuilt } from '../support/built-package.js';
import { findFreePort } from '../support/embedded-postgres.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const AGENT = fileURLToPath(new URL('secret-agent.mjs', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Part of every secret of this run, and of nothing else anywhere. */
const MARK = `mark${randomBytes(8).toString('hex')}`;

/** Processes start slowly where many do at once. */
const TIMEOUT_MS = 300_000;

let database: TestDatabase;

beforeEach(async () => {
  await ensureBuilt();
  database = await createTestDatabase();
});
afterEach(async () => database.drop());

let planted = 0;
function secret(): string {
  planted += 1;
  return `${MARK}-${planted}`;
}

function account() {
  const endpoint = `https://${secret()}:${secret()}@host/v1?api_key=${secret()}`;
  return { apiKey: secret(), apiEndpoint: endpoint };
}

/** Every stage of the wire that has a model. */
const STAGES = [
  'contextFusionModel',
  'subtaskPlannerModel',
  'trajReflectorModel',
  'memoryRetrivalModel',
  'groundingModel',
  'taskEvaluatorModel',
  'actionGeneratorModel',
  'actionGeneratorWithTakeoverModel',
  'fastActionGeneratorModel',
  'fastActionGeneratorWithTakeoverModel',
  'dagTranslatorModel',
  'embeddingModel',
  'queryFormulatorModel',
  'narrativeSummarizationModel',
  'textSpanModel',
  'episodeSummarizationModel',
];

function runningConfig() {
  return {
    backend: 'lybic',
    authorizationInfo: { orgID: secret(), ...account() },
    stageModelConfig: Object.fromEntries(
      STAGES.map((stage) => [stage, { modelName: 'model', ...account() }]),
    ),
  };
}

/** The global configuration refuses credentials in an endpoint. */
function globalConfig() {
  return {
    authorizationInfo: { orgID: 'organization', apiKey: secret() },
    stageModelConfig: Object.fromEntries(
      STAGES.map((stage) => [stage, { modelName: 'model', apiKey: secret() }]),
    ),
  };
}

/** Its own role, so that its password is no part of what the tests share. */
async function connectionStringOf(password: string): Promise<string> {
  const url = new URL(database.connectionString);
  const role = `role_${randomBytes(4).toString('hex')}`;
  await database.query(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD '${password}'`);
  url.username = role;
  url.password = password;
  return url.href;
}

/** Every row of every table, as a dump has them. */
async function dump(): Promise<string> {
  const tables = await database.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  );
  expect(tables.length).toBeGreaterThanOrEqual(4);
  const rows = await Promise.all(
    tables.map(async ({ name }) => database.query(`SELECT t::text FROM ${name} AS t`)),
  );
  return JSON.stringify(rows);
}

async function holdsMark(file: string): Promise<boolean> {
  let rest = '';
  for await (const chunk of createReadStream(file, { encoding: 'latin1' })) {
    const text = rest + String(chunk);
    if (text.includes(MARK)) {
      return true;
    }
    rest = text.slice(-MARK.length);
  }
  return false;
}

/** The files of this database and the log of its changes, byte by byte. */
async function filesWithMark(): Promise<string[]> {
  await database.query('CHECKPOINT');
  const [row] = await database.query<{ folder: string; oid: string }>(
    `SELECT current_setting('data_directory') AS folder, oid::text FROM pg_database
     WHERE datname = current_database()`,
  );
  const { folder = '', oid = '' } = row ?? {};
  const found: string[] = [];
  for (const path of [join(folder, 'base', oid), join(folder, 'pg_wal')]) {
    for (const entry of await readdir(path, { withFileTypes: true })) {
      const file = join(path, entry.name);
      if (entry.isFile() && (await holdsMark(file))) {
        found.push(file);
      }
    }
  }
  return found;
}

/** Runs the service as a start that is expected to fail. */
async function startInVain(
  variables: Readonly<Record<string, string>>,
): Promise<{ code: unknown; output: string }> {
  const child = spawn(process.execPath, [MAIN], {
    cwd: tmpdir(),
    env: {
      PATH: process.env['PATH'],
      GRPC_PORT: String(await findFreePort()),
      TASK_STORAGE_BACKEND: 'postgres',
      POSTGRES_CONNECTION_STRING: database.connectionString,
      POSTGRES_CONNECT_RETRY_MS: '0',
      LOG_LEVEL: 'verbose',
      ...variables,
    },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  // One that starts after all must not outlive the test.
  const impatience = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS / 2);
  const [code]: unknown[] = await once(child, 'close');
  clearTimeout(impatience);
  return { code, output };
}

it(
  'writes no secret anywhere, whatever the agent says',
  async () => {
    // The password of the role is in the database by the will of this test, as a hash.
    const connectionString = await connectionStringOf(secret());
    await database.query('SELECT pg_switch_wal()');
    const port = String(await findFreePort());
    const metricsPort = String(await findFreePort());
    const service = await ServiceProcess.start(port, {
      TASK_STORAGE_BACKEND: 'postgres',
      POSTGRES_CONNECTION_STRING: connectionString,
      TASK_STORAGE_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
      AGENT_COMMAND: `${process.execPath} ${AGENT}`,
      AGENT_ENV_ALLOW: 'APP_API_KEY',
      APP_API_KEY: secret(),
      AGENT_RESUMABLE: '1',
      ALLOW_SET_GLOBAL_CONFIG: '1',
      ENABLE_PROMETHEUS: 'true',
      PROMETHEUS_PORT: metricsPort,
      TASK_REDACT_PATHS: 'requestData.sandbox.description,sandboxInfo.shape_name',
      TASK_WHEN_FULL: 'queue',
      LOG_LEVEL: 'verbose',
    });
    const agent = new ServiceClient('lybic.agent.Agent', `127.0.0.1:${port}`);
    const tasks = new ServiceClient('nestjs_task_storage.v1.TaskService', `127.0.0.1:${port}`);
    const answers: unknown[] = [];
    const ask = async (call: Promise<unknown>): Promise<void> => {
      answers.push(await call.catch((error: unknown) => [String(error), JSON.stringify(error)]));
    };
    try {
      await ask(agent.call('SetGlobalCommonConfig', { commonConfig: globalConfig() }));
      await ask(agent.call('SetGlobalCommonConfig', { commonConfig: runningConfig() }));
      for (const model of ['Common', 'Grounding', 'Embedding']) {
        const method = `SetGlobal${model}LLMConfig`;
        await ask(agent.call(method, { llmConfig: { modelName: 'm', apiKey: secret() } }));
        await ask(agent.call(method, { llmConfig: { modelName: 'm', ...account() } }));
      }
      await ask(agent.call('GetGlobalCommonConfig'));
      const ids: string[] = [];
      for (const instruction of ['say all', 'fail and say all']) {
        const run = agent.stream('RunAgentInstruction', {
          instruction,
          sandbox: { id: 'box', description: secret() },
          runningConfig: runningConfig(),
        });
        await ask(run.ended);
        ids.push(run.messages[0]?.taskId ?? '');
      }
      // The first is repeated with another request, the second is refused for what it says.
      const repeated = { 'idempotency-key': 'key', authorization: `Bearer ${secret()}` };
      for (const config of [runningConfig(), runningConfig()]) {
        const request = { instruction: 'say all', runningConfig: config };
        await ask(agent.call('RunAgentInstructionAsync', request, repeated));
      }
      await ask(
        agent.call('RunAgentInstructionAsync', {
          instruction: '',
          runningConfig: { ...runningConfig(), mode: 77 },
        }),
      );
      for (const taskId of ids) {
        await ask(agent.stream('GetAgentTaskStream', { taskId }).ended);
        await ask(tasks.stream('WatchTask', { task_id: taskId }).ended);
        await ask(agent.call('QueryTaskStatus', { taskId }));
        await ask(agent.call('GetCommonConfig', { id: taskId }));
        await ask(tasks.call('GetTask', { task_id: taskId }));
      }
      await ask(tasks.call('ListTasks'));
      await ask((await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text());
    } finally {
      agent.close();
      tasks.close();
      await service.stop();
    }
    const answered = JSON.stringify(answers);
    // The agent said it, and was heard.
    expect(answered).toContain('a line of text');
    expect(answered).toContain('********');
    expect(answered).not.toContain(MARK);
    expect(service.log).not.toContain(MARK);
    expect(await dump()).not.toContain(MARK);
    expect(await filesWithMark()).toEqual([]);
  },
  TIMEOUT_MS,
);

it(
  'names no password and no key when it cannot start',
  async () => {
    const url = new URL(database.connectionString);
    const wrong = [
      { POSTGRES_CONNECTION_STRING: `postgresql://postgres:${MARK}@${url.host}/none` },
      { POSTGRES_CONNECTION_STRING: `postgresql://nobody:${MARK}@${url.host}${url.pathname}` },
      { POSTGRES_CONNECTION_STRING: `postgresql://postgres:${MARK}@127.0.0.1:1/none` },
      { POSTGRES_CONNECTION_STRING: `postgresql://postgres:${MARK}@[bad/none` },
      { POSTGRES_CONNECTION_STRING: `postgresql:/postgres:${MARK}` },
      { POSTGRES_CONNECTION_STRING: `postgres:${MARK}@${url.host}/none` },
      { TASK_STORAGE_ENCRYPTION_KEYS: `k1:${MARK}` },
      { TASK_STORAGE_ENCRYPTION_KEYS: MARK },
      { AGENT_COMMAND: `agent '${MARK}` },
      { AGENT_COMMAND: 'agent', AGENT_ENV_ALLOW: `KEY=${MARK}` },
    ];
    const outputs = await Promise.all(wrong.map(startInVain));
    outputs.forEach(({ code, output }, index) => {
      expect([index, code]).toEqual([index, 1]);
      expect(output).not.toBe('');
      expect(output).not.toContain(MARK);
    });
  },
  TIMEOUT_MS,
);
