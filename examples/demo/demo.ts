/**
 * Shows what the service is for: tasks outlive the process that runs them, and go on in another one.
 * Needs nothing but `npm install`; run it with `npm run demo`.
 */
import {
  findFreePort,
  startPostgres,
  type PostgresServer,
} from '../../test/support/embedded-postgres.js';
import { listProcesses } from '../../test/support/processes.js';
import {
  AGENT_COMMAND,
  AGENT_MARK,
  cancelTask,
  continueTask,
  failTask,
  finishTask,
  killTheRunningReplica,
  replayStages,
} from './chapters.js';
import { ServiceProcess } from './service-process.js';
import { Story } from './story.js';
import { describeRow, TaskTable, type TaskRow } from './task-table.js';

/** Long enough that a replica is not taken for lost, short enough to watch. */
const LEASE_MS = 3_000;

/** What is stored of some tasks at one moment. */
type Rows = ReadonlyMap<string, TaskRow>;

async function runTasks(story: Story, { client }: ServiceProcess): Promise<string[]> {
  return [
    await finishTask(story, client),
    await failTask(story, client),
    await cancelTask(story, client),
  ];
}

function compareRows(story: Story, ended: readonly string[], before: Rows, after: Rows): void {
  story.table([
    ['task', 'instruction', 'before the kill', 'after the restart'],
    ...[...after.keys()].map((taskId) => [
      taskId.slice(0, 8),
      after.get(taskId)?.query ?? 'gone',
      before.has(taskId) ? describeRow(before.get(taskId)) : 'not yet there',
      describeRow(after.get(taskId)),
    ]),
  ]);
  const unchanged = ended.filter(
    (taskId) => JSON.stringify(before.get(taskId)) === JSON.stringify(after.get(taskId)),
  );
  story.claim(
    'the three tasks that had ended survived, with every column as it was',
    unchanged.length === 3 && before.size === 3 && after.size === 4,
    { unchanged, before: before.size, after: after.size },
  );
}

async function tell(
  story: Story,
  postgres: PostgresServer,
  services: ServiceProcess[],
): Promise<void> {
  await postgres.createDatabase('demo');
  const connectionString = postgres.connectionString('demo');
  const start = async (replica: string) => {
    const port = String(await findFreePort());
    const service = await ServiceProcess.start(port, {
      TASK_STORAGE_BACKEND: 'postgres',
      POSTGRES_CONNECTION_STRING: connectionString,
      AGENT_COMMAND,
      AGENT_RESUMABLE: '1',
      AGENT_KILL_GRACE_MS: '500',
      TASK_INSTANCE_ID: replica,
      TASK_LEASE_MS: String(LEASE_MS),
      LOG_LEVEL: 'warn',
    });
    services.push(service);
    story.say(`replica ${replica} answers on 127.0.0.1:${port} (process ${service.pid})`);
    return service;
  };

  const table = await TaskTable.open(connectionString);
  try {
    story.say(`Postgres ${await table.serverVersion()} answers on ${new URL(postgres.url).host}`);
    const [alpha, beta] = [await start('alpha'), await start('beta')];
    const ended = await runTasks(story, alpha);
    const before = await table.rows();
    const resumed = await killTheRunningReplica(story, alpha, beta);
    const row = (await table.rows()).get(resumed.taskId);
    story.claim(
      'the row says that it took two attempts, and that nobody holds it any more',
      row?.['attempt'] === 2 && row['lease_owner'] === null,
      row,
    );
    story.chapter('Start alpha again', 'It needs nothing of its former self: all is in Postgres.');
    const restarted = await start('alpha');
    compareRows(story, ended, before, await table.rows());
    await replayStages(story, restarted.client, resumed);
    await continueTask(story, restarted.client, ended[0] ?? '');
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
    story.claim(
      'both replicas ended well when they were asked to',
      exits.slice(-2).every((exit) => exit === 0),
      exits,
    );
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
    'Start a Postgres and two replicas of the service',
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
