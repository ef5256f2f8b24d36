import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Client, credentials } from '@grpc/grpc-js';
import pg from 'pg';
import { ServiceProcess } from '../../examples/demo/service-process.js';
import { findFreePort } from '../../test/support/embedded-postgres.js';
import { MAX_STEPS, OWN_TASKS, QUERY, REQUEST_DATA } from '../contenders/contender.js';
import { ask, type LoadRequest } from '../grpc/messages.js';
import { callUnary, METHOD_NAMES, methodOf, type MethodName } from '../grpc/methods.js';
import { alternate, type TakeTurn } from '../measure/alternation.js';
import type { BenchOptions } from '../options.js';
import type { BenchRow } from './row.js';

const CALLERS = 64;
const AGENT = fileURLToPath(new URL('../../examples/agents/prime-agent.mjs', import.meta.url));
/** So many tasks are run to have some in memory. */
const MEMORY_TASKS = 8;
/** So many of the tasks in Postgres are asked for. */
const POLLED_TASKS = 500;
const WAIT_LIMIT_MS = 60_000;

/** Status polls and whole tasks through the service, beside a handler that only answers. */
export async function measureGrpc(
  url: string,
  options: BenchOptions,
): Promise<readonly BenchRow[]> {
  const client = start('../grpc/load.ts');
  try {
    const memory = await startService({ TASK_STORAGE_BACKEND: 'memory' });
    const memoryRows = await measureService('gRPC, memory', memory, client, options, () =>
      runTasks(memory.service),
    );
    const postgres = await startService({
      TASK_STORAGE_BACKEND: 'postgres',
      POSTGRES_CONNECTION_STRING: url,
    });
    const postgresRows = await measureService('gRPC, Postgres', postgres, client, options, () =>
      insertTasks(url),
    );
    return [...memoryRows, ...postgresRows];
  } finally {
    client.disconnect();
  }
}

interface StartedService {
  readonly service: ServiceProcess;
  readonly address: string;
}

async function startService(variables: Record<string, string>): Promise<StartedService> {
  const port = String(await findFreePort());
  const service = await ServiceProcess.start(port, {
    LOG_LEVEL: 'ERROR',
    TASK_MAX_TASKS: String(OWN_TASKS * 2),
    AGENT_COMMAND: `"${process.execPath}" "${AGENT}"`,
    ...variables,
  });
  return { service, address: `127.0.0.1:${port}` };
}

async function measureService(
  backend: BenchRow['backend'],
  { service, address }: StartedService,
  client: ChildProcess,
  { rounds, turnMs, isQuick }: BenchOptions,
  prepare: () => Promise<readonly string[]>,
): Promise<readonly BenchRow[]> {
  const bare = start('../grpc/bare-server.ts');
  try {
    const taskIds = await prepare();
    const requests = {
      QueryTaskStatus: taskIds.map((taskId) => ({ taskId })),
      GetTask: taskIds.map((taskId) => ({ task_id: taskId })),
    };
    const answers = {
      QueryTaskStatus: await callOnce(address, 'QueryTaskStatus', requests.QueryTaskStatus[0]),
      GetTask: await callOnce(address, 'GetTask', requests.GetTask[0]),
    };
    const bareAnswer = await ask(bare, { answers });
    const bareAddress = `127.0.0.1:${'port' in bareAnswer ? bareAnswer.port : ''}`;
    const rows: BenchRow[] = [];
    const methods = isQuick ? (['QueryTaskStatus'] as const) : METHOD_NAMES;
    for (const method of methods) {
      const turn =
        (to: string): TakeTurn =>
        async () => {
          const request: LoadRequest = {
            address: to,
            method,
            requests: requests[method],
            callers: CALLERS,
            // Longer than elsewhere: three processes share two cores.
            turnMs: turnMs * 3,
          };
          const answer = await ask(client, { ...request });
          if (!('turn' in answer)) {
            throw new Error('The client of the bench did not measure');
          }
          return answer.turn;
        };
      const turns = { product: turn(address), 'bare handler': turn(bareAddress) };
      await turns.product();
      await turns['bare handler']();
      const measured = await alternate(turns, rounds);
      rows.push({ work: method, backend, callers: CALLERS, ...measured });
    }
    return rows;
  } finally {
    bare.disconnect();
    await service.stop();
  }
}

async function callOnce(address: string, name: MethodName, request = {}): Promise<object> {
  const client = new Client(address, credentials.createInsecure());
  try {
    return await callUnary(client, methodOf(name), request);
  } finally {
    client.close();
  }
}

/** Only the service itself can put tasks into its memory: it runs some to their end. */
async function runTasks({ client }: ServiceProcess): Promise<readonly string[]> {
  const instruction = { instruction: 'find the primes below 1000', steps: 1 };
  const taskIds = await Promise.all(
    Array.from({ length: MEMORY_TASKS }, async () => client.start(instruction)),
  );
  const giveUpAt = Date.now() + WAIT_LIMIT_MS;
  for (const taskId of taskIds) {
    for await (const { stage } of client.follow(taskId)) {
      if (Date.now() > giveUpAt) {
        throw new Error(`Task ${taskId} is still at ${stage}`);
      }
    }
    const { status } = await client.state(taskId);
    if (status !== 'SUCCESS') {
      throw new Error(`Task ${taskId} came to ${status}`);
    }
  }
  return taskIds;
}

async function insertTasks(url: string): Promise<readonly string[]> {
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  await pool.query(
    `INSERT INTO agent_tasks (task_id, status, query, max_steps, request_data, result,
       execution_statistics, finished_at)
     SELECT 'polled-' || n, 'finished', $1, $2, $3, 'The answer is 4', '{"steps": 12}', NOW()
     FROM generate_series(0, ${OWN_TASKS - 1}) AS n`,
    [QUERY, MAX_STEPS, JSON.stringify(REQUEST_DATA)],
  );
  await pool.query('VACUUM ANALYZE agent_tasks');
  await pool.end();
  return Array.from({ length: POLLED_TASKS }, (_, index) => `polled-${(index * 7919) % OWN_TASKS}`);
}

function start(path: string): ChildProcess {
  const child = fork(fileURLToPath(new URL(path, import.meta.url)), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  child.once('exit', (code) => {
    if (code !== 0 && code !== null) {
      process.stderr.write(`${path} ended with ${code}\n`);
    }
  });
  return child;
}
