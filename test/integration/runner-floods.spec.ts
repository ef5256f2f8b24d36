import { tmpdir } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { AgentProcess } from '../../src/agent/command-runner/agent-process.js';
import { CommandAgentRunner } from '../../src/agent/command-runner/index.js';
import { untilGone } from '../support/processes.js';
import { RecordedRun } from '../support/recorded-run.js';

const FLOOD_BYTES = 500_000_000;
/** Of the programs that are slower than their pipe. */
const MUCH = 200_000_000;

/** What is read ahead, and the one chunk that goes over it. */
const MOST_QUEUED_BYTES = 128 * 1024;

/** So often a program that is not held back would have written more. */
const MANY_TURNS = 2_000;

const TIME_LIMIT_MS = 120_000;

function shell(script: string) {
  return {
    command: ['/bin/sh', '-c', script] as const,
    workingDirectory: tmpdir(),
    environment: { PATH: process.env['PATH'] },
    killGraceMs: 200,
  };
}

describe('a program that floods its stdout', () => {
  it(
    'is never ahead of its reader by more than a little',
    async () => {
      const agent = await AgentProcess.start(shell(`head -c ${FLOOD_BYTES} /dev/zero`), '');
      let total = 0;
      let mostQueued = 0;
      for await (const chunk of agent.output) {
        total += chunk.length;
        mostQueued = Math.max(mostQueued, agent.output.queuedBytes);
      }
      expect(total).toBe(FLOOD_BYTES);
      expect(mostQueued).toBeLessThanOrEqual(MOST_QUEUED_BYTES);
      expect((await agent.closed).code).toBe(0);
    },
    TIME_LIMIT_MS,
  );

  it(
    'with a line that never ends has it cut, and only the beginning kept',
    async () => {
      const run = new RecordedRun();
      const script = `head -c ${MUCH} /dev/zero | tr '\\0' x; echo; echo '{"type":"result","result":"done"}'`;
      const outcome = await new CommandAgentRunner(shell(script)).run(run);
      expect(outcome.result).toBe('done');
      expect(run.messagesOf('output').map((line) => line.replace(/^x+/, ''))).toEqual([
        ' … (cut: the line is longer than 1048576 bytes)',
      ]);
    },
    TIME_LIMIT_MS,
  );

  it('is held back while nobody takes what it wrote', async () => {
    const agent = await AgentProcess.start(shell('yes'), '');
    const chunks = agent.output[Symbol.asyncIterator]();
    await chunks.next();
    while (agent.output.queuedBytes < MOST_QUEUED_BYTES / 2) {
      await nextTurn();
    }
    for (let turn = 0; turn < MANY_TURNS; turn += 1) {
      await nextTurn();
    }
    expect(agent.output.queuedBytes).toBeLessThanOrEqual(MOST_QUEUED_BYTES);
    agent.terminate();
    expect((await agent.closed).signal).toBe('SIGTERM');
  });

  it('and never ends is ended when its task is', async () => {
    const run = new RecordedRun();
    const running = new CommandAgentRunner(shell(`echo $$; exec yes`)).run(run);
    const pid = Number(await run.untilStage('output'));
    run.abort(new Error('cancelled'));
    await expect(running).rejects.toThrow('cancelled');
    await untilGone(pid);
  });
});

describe('a program that floods its stderr', () => {
  it(
    'has no more than its last words kept',
    async () => {
      const script = `head -c ${MUCH} /dev/zero | tr '\\0' x >&2; exit 3`;
      const running = new CommandAgentRunner(shell(script)).run(new RecordedRun());
      await expect(running).rejects.toThrow(/^x{4096}$/);
    },
    TIME_LIMIT_MS,
  );
});

describe('a program that leaves a whole family behind', () => {
  it('has all of them ended, though they ignore SIGTERM', async () => {
    const run = new RecordedRun();
    const script = `
      trap '' TERM
      for child in 1 2 3 4 5 6 7 8 9 10; do
        (sleep 1000 & echo $!)
        sleep 1000 & echo $!
      done
      echo '{"type":"result","result":"done"}'
    `;
    const outcome = await new CommandAgentRunner(shell(script)).run(run);
    expect(outcome.result).toBe('done');
    const pids = run.messagesOf('output').map(Number);
    expect(pids).toHaveLength(20);
    await Promise.all(pids.map(untilGone));
  });
});
