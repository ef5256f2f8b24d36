/**
 * Shows what the service is for: tasks outlive the process that runs them. Needs nothing but
 * `npm install`; run it with `npm run demo`.
 */
import {
  findFreePort,
  startPostgres,
  type PostgresServer,
} from '../../test/support/embedded-postgres.js';
import { listProcesses } from '../../test/support/processes.js';
import type { Stage } from './agent-client.js';
import {
  AGENT_COMMAND,
  AGENT_MARK,
  becomesTrue,
  cancelTask,
  continueTask,
  failTask,
  finishTask,
  killWhileRunning,
  replayStages,
} from './chapters.js';
import { ServiceProcess } from './service-process.js';
import { Story } from './story.js';
import { describeRow, TaskTable, type TaskRow } from './task-table.js';

/** What is known when the service has been killed. */
interface Aftermath {
  /** The tasks that had ended. */
  readonly ended: readonly string[];
  /** What the client has seen of the task that had not. */
  readonly seen: readonly Stage[];
  readonly rows: ReadonlyMap<string, TaskRow>;
}

async function beforeTheKill(
  story: Story,
  service: ServiceProcess,
  table: TaskTable,
): Promise<Aftermath> {
  const ended = [
    await finishTask(story, service.client),
    await failTask(story, service.client),
    await cancelTask(story, service.client),
  ];
  const seen = await killWhileRunning(story, service);
  const rows = await table.rows();
  const interrupted = rows.get(seen[0]?.taskId ?? '');
  story.claim(
    'the table still calls the interrupted task running, though nothing runs it',
    interrupted?.status === 'running',
    interrupted,
  );
  return { ended, seen, rows };
}

async function afterTheRestart(
  story: Story,
  { client }: ServiceProcess,
  table: TaskTable,
  { ended, seen, rows: before }: Aftermath,
): Promise<void> {
  const interrupted = seen[0]?.taskId ?? '';
  const recovered = await becomesTrue(
    async () => (await client.state(interrupted)).status !== 'RUNNING',
  );
  const after = await table.rows();
  story.table([
    ['task', 'instruction', 'before the kill', 'after the restart'],
    ...[...ended, interrupted].map((taskId) => [
      taskId.slice(0, 8),
      after.get(taskId)?.query ?? 'gone',
      describeRow(before.get(taskId)),
      describeRow(after.get(taskId)),
    ]),
  ]);
  const unchanged = ended.filter(
    (taskId) => JSON.stringify(before.get(taskId)) === JSON.stringify(after.get(taskId)),
  );
  story.claim(
    'the three tasks that had ended survived, with every column as it was',
    unchanged.length === 3 && before.size === 4 && after.size === 4,
    { unchanged, before: before.size, after: after.size },
  );
  const state = await client.state(interrupted);
  const finalState = await client.finalState(interrupted);
  story.claim(
    `the interrupted task is no longer running but FAILURE: "${state.message}"`,
    recovered &&
      state.status === 'FAILURE' &&
      finalState === 'interrupted' &&
      state.message.includes('interrupted'),
    { state, finalState },
  );
  await replayStages(story, client, interrupted, seen);
  await continueTask(story, client, ended[0] ?? '');
}

async function tell(
  story: Story,
  postgres: PostgresServer,
  services: ServiceProcess[],
): Promise<void> {
  await postgres.createDatabase('demo');
  const connectionString = postgres.connectionString('demo');
  const port = String(await findFreePort());
  const start = async () => {
    const service = await ServiceProcess.start(port, {
      TASK_STORAGE_BACKEND: 'postgres',
      POSTGRES_CONNECTION_STRING: connectionString,
      AGENT_COMMAND,
      TASK_INSTANCE_ID: 'demo',
      LOG_LEVEL: 'warn',
    });
    services.push(service);
    story.say(`the service answers on 127.0.0.1:${port} (process ${service.pid})`);
    return service;
  };

  const table = await TaskTable.open(connectionString);
  try {
    story.say(`Postgres ${await table.serverVersion()} answers on ${new URL(postgres.url).host}`);
    const aftermath = await beforeTheKill(story, await start(), table);
    story.chapter(
      'Start the service again',
      'It has the same TASK_INSTANCE_ID: it knows which tasks its former self left behind.',
    );
    await afterTheRestart(story, await start(), table, aftermath);
  } finally {
    await table.close();
  }
}

async function cleanUp(
  story: Story,
  postgres: PostgresServer | undefined,
  services: readonly ServiceProcess[],
): Promise<void> {
  story.chapter('Leave nothing running', 'Every process that this demo has started is looked for.');
  const exits = await Promise.all(services.map(async (service) => service.stop()));
  if (exits.length > 0) {
    story.claim('the service ended well when it was asked to', exits.at(-1) === 0, exits);
  }
  await postgres?.stop();
  const port = postgres === undefined ? 'none' : new URL(postgres.url).port;
  const left = (await listProcesses()).filter(
    ({ pid, commandLine }) =>
      services.some((service) => service.pid === pid) ||
      commandLine.includes(AGENT_MARK) ||
      (commandLine.includes('postgres') && commandLine.includes(` -p ${port} `)),
  );
  story.claim('no service, no agent and no Postgres is left', left.length === 0, left);
  left.forEach(({ pid }) => process.kill(pid, 'SIGKILL'));
}

async function main(): Promise<boolean> {
  const story = new Story();
  const services: ServiceProcess[] = [];
  let postgres: PostgresServer | undefined;
  story.open('Tasks that outlive the process that runs them (all times are UTC)');
  story.chapter(
    'Start a Postgres and the service',
    'Each is a process of its own. The Postgres is a real one, with its data in a temporary folder.',
  );
  try {
    postgres = await startPostgres();
    await tell(story, postgres, services);
  } catch (error) {
    story.claim('the demo came to its end', false, error);
  } finally {
    await cleanUp(story, postgres, services);
  }
  return story.verdict();
}

// Not process.exitCode: a hook that embedded-postgres installs would overrule it with 0.
process.exit((await main()) ? 0 : 1);
