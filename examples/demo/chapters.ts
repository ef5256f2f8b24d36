import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { listProcesses } from '../../test/support/processes.js';
import type { AgentClient, Instruction, Stage } from './agent-client.js';
import type { ServiceProcess } from './service-process.js';
import type { Story } from './story.js';

const AGENT = fileURLToPath(new URL('../agents/prime-agent.mjs', import.meta.url));

/** In the command line of every agent that this demo starts, so that they can be found. */
export const AGENT_MARK = `demo-${randomUUID()}`;
export const AGENT_COMMAND = `"${process.execPath}" "${AGENT}" ${AGENT_MARK}`;

const WAIT_LIMIT_MS = 30_000;

const SMALL: Instruction = { instruction: 'find the primes below 50000', steps: 5 };
const IMPOSSIBLE: Instruction = { instruction: 'sing a song', steps: 5 };
const LONG: Instruction = { instruction: 'find the primes below 900000000', steps: 5_000 };
const MEDIUM: Instruction = { instruction: 'find the primes below 200000', steps: 25 };
const LARGER: Instruction = { instruction: 'find the primes below 60000', steps: 2 };

/** The slow and obvious way, to check the agent's answers. */
function countPrimesBelow(limit: number): number {
  const isPrime = (candidate: number) => {
    for (let divisor = 2; divisor * divisor <= candidate; divisor += 1) {
      if (candidate % divisor === 0) {
        return false;
      }
    }
    return candidate >= 2;
  };
  return Array.from({ length: limit }, (_, candidate) => candidate).filter(isPrime).length;
}

/** @returns whether it became true in time */
export async function becomesTrue(condition: () => Promise<boolean>): Promise<boolean> {
  const giveUpAt = performance.now() + WAIT_LIMIT_MS;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) {
      return false;
    }
    await delay(50);
  }
  return true;
}

async function agentsRunning(): Promise<number> {
  const processes = await listProcesses();
  return processes.filter(({ commandLine }) => commandLine.includes(AGENT_MARK)).length;
}

function namesOf(stages: readonly Stage[]): string {
  return stages.map(({ stage }) => stage).join(', ');
}

/** Prints stages as they arrive. @returns them all */
async function watch(
  story: Story,
  stages: AsyncIterable<Stage>,
  onStage: (stage: Stage) => void = () => undefined,
): Promise<Stage[]> {
  const seen: Stage[] = [];
  for await (const stage of stages) {
    story.stage(stage.stage, stage.message, stage.at);
    seen.push(stage);
    onStage(stage);
  }
  return seen;
}

/** @returns the id of a task that has finished */
export async function finishTask(story: Story, client: AgentClient): Promise<string> {
  story.chapter(
    'Run a task',
    'RunAgentInstruction streams what happens, from the start of the task to its end.',
  );
  story.say(`"${SMALL.instruction}", in ${SMALL.steps} steps`);
  const stages = await watch(story, client.run(SMALL));
  const taskId = stages[0]?.taskId ?? '';
  const steps = Array.from({ length: SMALL.steps }, (_, index) => `step ${index + 1}`);
  story.claim(
    'every stage of the task was streamed, from the first to the last',
    namesOf(stages) === ['starting', ...steps, 'finished'].join(', '),
    namesOf(stages),
  );
  const state = await client.state(taskId);
  story.claim(
    `its answer is right: ${state.result}`,
    state.status === 'SUCCESS' &&
      state.result === `There are ${countPrimesBelow(50_000)} primes below 50000.`,
    state,
  );
  return taskId;
}

/** @returns the id of a task that has failed */
export async function failTask(story: Story, client: AgentClient): Promise<string> {
  story.chapter(
    'Run a task that fails',
    'The last words of the program that ran it are the reason that its submitter reads.',
  );
  story.say(`"${IMPOSSIBLE.instruction}"`);
  const taskId = await client.start(IMPOSSIBLE);
  await watch(story, client.follow(taskId));
  const state = await client.state(taskId);
  story.claim(
    'the failed task says why it failed',
    state.status === 'FAILURE' && state.message.includes('I cannot do "sing a song"'),
    state,
  );
  return taskId;
}

/** @returns the id of a task that has been cancelled */
export async function cancelTask(story: Story, client: AgentClient): Promise<string> {
  story.chapter('Cancel a task', 'The program that works on it is stopped, not only forgotten.');
  story.say(`"${LONG.instruction}", which would take minutes`);
  const taskId = await client.start(LONG);
  let cancelling: Promise<boolean> | undefined;
  await watch(story, client.follow(taskId), ({ stage }) => {
    if (stage === 'step 3') {
      story.say('CancelTask');
      cancelling = client.cancel(taskId);
    }
  });
  const success = await cancelling;
  const { status } = await client.state(taskId);
  const gone = await becomesTrue(async () => (await agentsRunning()) === 0);
  story.claim(
    'the cancelled task is CANCELLED, and its program has ended',
    success === true && status === 'CANCELLED' && gone,
    { success, status, gone },
  );
  return taskId;
}

/** A task that two replicas have worked on. */
export interface ResumedTask {
  readonly taskId: string;
  /** What was streamed through the replica that lives. */
  readonly seen: readonly Stage[];
}

/** Kills one replica while it runs a task that a client follows through the other. */
export async function killTheRunningReplica(
  story: Story,
  running: ServiceProcess,
  other: ServiceProcess,
): Promise<ResumedTask> {
  story.chapter(
    'Follow a task through one replica, and kill the other, which runs it',
    'kill -9, as the kernel does when the memory is full: the replica cannot even say goodbye.',
  );
  story.say(`"${MEDIUM.instruction}", submitted to alpha and followed through beta`);
  const taskId = await running.client.start(MEDIUM);
  let killing: Promise<{ agents: number; exit: number | string; orphans: boolean }> | undefined;
  const seen = await watch(story, other.client.follow(taskId), ({ stage }) => {
    if (stage === 'step 5') {
      killing = agentsRunning().then(async (agents) => {
        story.say(`kill -9 ${running.pid}`);
        const exit = await running.kill();
        const orphans = !(await becomesTrue(async () => (await agentsRunning()) === 0));
        return { agents, exit, orphans };
      });
    }
  });
  const killed = await killing;
  story.claim(
    'alpha was killed while its agent worked, and the orphaned agent ended by itself',
    killed?.exit === 'SIGKILL' && killed.agents === 1 && !killed.orphans,
    killed,
  );
  const names = seen.map(({ stage }) => stage);
  const resumedAt = names.indexOf('resuming');
  story.claim(
    'the stream through beta went on: beta took the task over when the lease of alpha had ended',
    names[0] === 'starting' && resumedAt > names.indexOf('step 5') && names.at(-1) === 'finished',
    names,
  );
  const { result } = await other.client.state(taskId);
  story.claim(
    `the second attempt went on where the first had saved, and the answer is right: ${result}`,
    names.includes('remembering') &&
      result === `There are ${countPrimesBelow(200_000)} primes below 200000.`,
    { result, names },
  );
  return { taskId, seen };
}

/** Compares what any replica replays of a task with what was streamed live. */
export async function replayStages(
  story: Story,
  client: AgentClient,
  { taskId, seen }: ResumedTask,
): Promise<void> {
  const stages: Stage[] = [];
  for await (const stage of client.follow(taskId)) {
    stages.push(stage);
  }
  story.claim(
    `alpha replays the ${seen.length} stages of the task exactly as beta streamed them`,
    seen.length > 0 && JSON.stringify(stages) === JSON.stringify(seen),
    namesOf(stages),
  );
}

/** Runs a task that builds on one from before the kill. */
export async function continueTask(
  story: Story,
  client: AgentClient,
  previousTaskId: string,
): Promise<void> {
  story.chapter(
    'Continue the first task',
    'Its conversation is stored too: the agent need not count again what it has counted before.',
  );
  story.say(`"${LARGER.instruction}", with previousTaskId ${previousTaskId}`);
  const stages = await watch(story, client.run({ ...LARGER, previousTaskId }));
  const { result } = await client.state(stages[0]?.taskId ?? '');
  const remembered = stages.find(({ stage }) => stage === 'remembering')?.message ?? '';
  story.claim(
    `the new task went on where the old one had ended, and its answer is right: ${result}`,
    remembered.includes(`found ${countPrimesBelow(50_000)} primes below 50000`) &&
      result === `There are ${countPrimesBelow(60_000)} primes below 60000.`,
    { remembered, result },
  );
}
