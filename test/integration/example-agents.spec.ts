import { describe, expect, it } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { CommandAgentRunner, type CommandLine } from '../../src/agent/command-runner/index.js';
import { RecordedRun } from '../support/recorded-run.js';

const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const PRIME_AGENT: CommandLine = [
  process.execPath,
  inRepository('examples/agents/prime-agent.mjs'),
];
const PYTHON_AGENT: CommandLine = ['python3', inRepository('examples/python/wrap_agent.py')];

const hasPython = spawnSync('python3', ['--version']).status === 0;

const environment = { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1' };

const runnerOf = (command: CommandLine) =>
  new CommandAgentRunner({ command, workingDirectory: '.', environment, killGraceMs: 5_000 });

/** Runs an agent as a service would that is killed at the first line it reads. */
async function runForKilledService(command: CommandLine, request: object): Promise<void> {
  const [program, ...programArguments] = command;
  const agent = spawn(program, programArguments, {
    env: environment,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exited = once(agent, 'exit');
  agent.stdin.end(JSON.stringify(request));
  await once(agent.stdout, 'data');
  agent.stdout.destroy();
  const [code] = await exited;
  expect(code).not.toBe(0);
}

describe('the prime agent', () => {
  it('counts primes step by step', async () => {
    const run = new RecordedRun({ instruction: 'find the primes below 1000', maxSteps: 4 });
    const outcome = await runnerOf(PRIME_AGENT).run(run);
    expect(outcome.result).toBe('There are 168 primes below 1000.');
    expect(run.stages).toEqual([
      ['step 1', '53 primes below 250'],
      ['step 2', '95 primes below 500'],
      ['step 3', '132 primes below 750'],
      ['step 4', '168 primes below 1000'],
    ]);
    expect(run.progress.at(-1)).toMatchObject({ executionStatistics: { steps: 4 } });
  });

  it('goes on where the conversation of the previous task ended', async () => {
    const first = new RecordedRun({ instruction: 'find the primes below 1000', maxSteps: 1 });
    await runnerOf(PRIME_AGENT).run(first);
    const conversationHistory = first.progress[0]?.conversationHistory ?? null;
    const second = new RecordedRun({
      instruction: 'find the primes below 1100',
      maxSteps: 1,
      previous: { taskId: 'first', conversationHistory, sandboxInfo: null },
    });
    const outcome = await runnerOf(PRIME_AGENT).run(second);
    expect(outcome.result).toBe('There are 184 primes below 1100.');
    expect(second.stages).toEqual([
      ['remembering', 'task first found 168 primes below 1000'],
      ['step 1', '184 primes below 1100'],
    ]);
  });

  it('says why it cannot do something else', async () => {
    const run = new RecordedRun({ instruction: 'sing' });
    await expect(runnerOf(PRIME_AGENT).run(run)).rejects.toThrow(
      'I cannot do "sing". Ask me to: find the primes below 50000',
    );
  });

  it('ends by itself when the service is gone', async () => {
    await runForKilledService(PRIME_AGENT, {
      instruction: 'find the primes below 900000000',
      maxSteps: 1_000_000,
    });
  });
});

(hasPython ? describe : describe.skip)('the wrapped Python agent', () => {
  it('reports its steps and its answer', async () => {
    const run = new RecordedRun({ instruction: 'add 2, 3 and 5' });
    expect(await runnerOf(PYTHON_AGENT).run(run)).toMatchObject({ result: '10' });
    expect(run.stages).toEqual([
      ['step', '2 + 3 = 5'],
      ['step', '5 + 5 = 10'],
    ]);
  });

  it('has its exception as the reason of the failure', async () => {
    const run = new RecordedRun({ instruction: 'add nothing' });
    await expect(runnerOf(PYTHON_AGENT).run(run)).rejects.toThrow(
      /^Traceback [^]*ValueError: There is no number in the instruction\.$/,
    );
  });

  it('ends by itself when the service is gone', async () => {
    const instruction = Array.from({ length: 300_000 }, (_, number) => number).join(' ');
    await runForKilledService(PYTHON_AGENT, { instruction, maxSteps: 300_000 });
  });
});

describe('docs/runner-protocol.md', () => {
  it('shows the Python wrapper as it is', async () => {
    const page = await readFile(inRepository('docs/runner-protocol.md'), 'utf8');
    const wrapper = await readFile(inRepository('examples/python/wrap_agent.py'), 'utf8');
    expect(page).toContain(`\`\`\`python\n${wrapper}\`\`\``);
  });
});
