import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { spawn } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AgentProcess } from '../../src/agent/command-runner/agent-process.js';
import {
  CommandAgentRunner,
  type CommandAgentRunnerOptions,
} from '../../src/agent/command-runner/index.js';
import { listProcesses, untilGone } from '../support/processes.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { RecordedRun } from '../support/recorded-run.js';

/** What the programs below have in common. */
const PRELUDE = `
  import { spawn } from 'node:child_process';
  import { closeSync, existsSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
  const say = (type, fields) => writeSync(1, JSON.stringify({ type, ...fields }) + '\\n');
  const stayAlive = () => setInterval(() => {}, 1000);
  const ignoreSigterm = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('{\\"type\\":\\"stage\\",\\"stage\\":\\"grandchild\\",\\"message\\":\\"' + process.pid + '\\"}')";
`;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'command-runner-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function program(
  script: string,
  options: Partial<CommandAgentRunnerOptions> = {},
): CommandAgentRunnerOptions {
  return {
    command: [process.execPath, '--input-type=module', '-e', PRELUDE + script],
    workingDirectory: folder,
    environment: { PATH: process.env['PATH'] },
    killGraceMs: 25_000,
    ...options,
  };
}

async function runProgram(
  script: string,
  run = new RecordedRun(),
  options: Partial<CommandAgentRunnerOptions> = {},
) {
  return new CommandAgentRunner(program(script, options)).run(run);
}

describe('a program that ends well', () => {
  it('gets the request on stdin, and its messages become stages, progress and the outcome', async () => {
    const run = new RecordedRun({
      instruction: 'add 2 and 2 – größe 🙂',
      maxSteps: 7,
      request: { instruction: 'add', runningConfig: { authorizationInfo: { apiKey: 'k' } } },
      previous: { taskId: 'task-0', conversationHistory: { a: [1] }, sandboxInfo: null },
      attempt: 2,
      saved: { executionStatistics: { steps: 3 } },
    });
    const outcome = await runProgram(
      `
      const request = JSON.parse(readFileSync(0, 'utf8'));
      say('stage', { stage: 'request', message: JSON.stringify(request) });
      say('statistics', { steps: 1, input_tokens: 10 });
      say('statistics', { steps: 2, cost: 0.5 });
      say('conversation', { tool: 'planner', messages: ['first'] });
      say('conversation', { tool: 'coder', messages: [] });
      say('conversation', { tool: 'planner', messages: ['second', { role: 'user' }] });
      say('sandbox', { id: 'box', os: 2 });
      say('result', { result: 'five' });
      say('result', { result: 'four', finalState: 'solved' });
      `,
      run,
    );
    expect(outcome).toEqual({ result: 'four', finalState: 'solved' });
    expect(run.stages.map(([stage]) => stage)).toEqual(['request']);
    expect(JSON.parse(await run.untilStage('request'))).toEqual({
      taskId: run.taskId,
      instruction: run.instruction,
      maxSteps: 7,
      request: run.request,
      previous: run.previous,
      attempt: 2,
      saved: { executionStatistics: { steps: 3 } },
    });
    expect(Object.assign({}, ...run.progress)).toEqual({
      executionStatistics: { steps: 2, input_tokens: 10, cost: 0.5 },
      conversationHistory: { planner: ['first', 'second', { role: 'user' }], coder: [] },
      sandboxInfo: { id: 'box', os: 2 },
    });
  });

  it('has its progress saved while it works', async () => {
    const marker = join(folder, 'saved');
    const run = new RecordedRun();
    run.saveProgress = async () => writeFile(marker, '');
    const outcome = await runProgram(
      `
      say('statistics', { steps: 1 });
      const waiting = setInterval(() => existsSync('${marker}') && clearInterval(waiting), 20);
      process.on('exit', () => say('result', { result: 'done' }));
      `,
      run,
    );
    expect(outcome.result).toBe('done');
  });

  it('may say nothing at all', async () => {
    const run = new RecordedRun();
    expect(await runProgram('', run)).toEqual({ result: undefined, finalState: undefined });
    expect(run.stages).toEqual([]);
  });

  it('may close its stdin without reading a large request', async () => {
    const run = new RecordedRun({ instruction: 'x'.repeat(5_000_000) });
    const script = `process.stdin.destroy(); say('result', { result: 'done' });`;
    expect(await runProgram(script, run)).toMatchObject({ result: 'done' });
  });

  it('has every line that is no message reported as output', async () => {
    const run = new RecordedRun();
    await runProgram(
      `
      writeSync(1, 'loading\\n\\n   \\n{"type":"progress"}\\r\\n{"type":"stage"}\\n');
      for (const byte of Buffer.from('größe 🙂\\n')) writeSync(1, Buffer.of(byte));
      writeSync(1, Buffer.from([0x61, 0xff, 0x62, 0x0a]));
      writeSync(1, 'no line end');
      `,
      run,
    );
    expect(run.stages).toEqual([
      ['output', 'loading'],
      ['output', '{"type":"progress"}'],
      [
        'output',
        expect.stringMatching(/^The agent wrote a "stage" line that does not fit: stage:/),
      ],
      ['output', 'größe 🙂'],
      ['output', 'a\uFFFDb'],
      ['output', 'no line end'],
    ]);
  });

  it('has a giant line cut', async () => {
    const run = new RecordedRun();
    await runProgram(
      `
      for (let i = 0; i < 40; i += 1) process.stdout.write('x'.repeat(100_000));
      process.stdout.write('\\nafter\\n');
      `,
      run,
    );
    const [giant, after] = run.messagesOf('output');
    expect(giant?.replace(/^x+/, (kept) => `${kept.length} x`)).toBe(
      '1048576 x … (cut: the line is longer than 1048576 bytes)',
    );
    expect(after).toBe('after');
  });

  it('has every line of a flood reported, in order', async () => {
    const run = new RecordedRun();
    const outcome = await runProgram(
      `
      for (let i = 0; i < 100_000; i += 1) process.stdout.write('line ' + i + '\\n');
      process.stdout.write('{"type":"result","result":"all"}\\n');
      `,
      run,
    );
    expect(outcome.result).toBe('all');
    expect(run.messagesOf('output')).toEqual(
      Array.from({ length: 100_000 }, (_, index) => `line ${index}`),
    );
  });

  it('has all that it wrote read, though its output is only consumed after its end', async () => {
    // More than the 128 KiB that are read ahead; the rest fits into the smallest kernel buffer.
    const script = `process.stdout.write('x'.repeat(135_000)); process.stdout.write('end');`;
    const agent = await AgentProcess.start(program(script), '');
    expect(await agent.closed).toMatchObject({ code: 0 });
    const chunks: Buffer[] = [];
    for await (const chunk of agent.output) {
      chunks.push(chunk);
    }
    const output = Buffer.concat(chunks).toString();
    expect(output.replace(/^x+/, (start) => `${start.length} x, `)).toBe('135000 x, end');
  });

  it('loses what the conversation has beyond 16 MiB, and says so once', async () => {
    const run = new RecordedRun();
    run.saveProgress = async () => undefined;
    const outcome = await runProgram(
      `
      const messages = ['x'.repeat(1_000_000)];
      for (let i = 0; i < 20; i += 1) say('conversation', { tool: 't', messages });
      say('result', { result: 'done' });
      `,
      run,
    );
    expect(outcome.result).toBe('done');
    expect(run.stages).toEqual([
      [
        'output',
        'The conversation is longer than 16777216 characters; the rest of it is not stored',
      ],
    ]);
  });
});

describe('a program that fails', () => {
  it('has its last words on stderr as the error', async () => {
    const script = `console.error('warming up\\n\\nno such file: größe\\n'); process.exitCode = 3;`;
    await expect(runProgram(script)).rejects.toThrow(
      new Error('warming up\n\nno such file: größe'),
    );
  });

  it('has its exit code as the error when it said nothing', async () => {
    await expect(runProgram('process.exit(7)')).rejects.toThrow(
      new Error('The agent exited with code 7'),
    );
  });

  it('has all its stages reported before the error', async () => {
    const run = new RecordedRun();
    const script = `say('stage', { stage: 'last', message: 'step' }); process.exit(1);`;
    await expect(runProgram(script, run)).rejects.toThrow('exited with code 1');
    expect(run.stages).toEqual([['last', 'step']]);
  });

  it('has the signal that killed it named', async () => {
    const script = `writeSync(2, 'out of memory\\n'); process.kill(process.pid, 'SIGKILL');`;
    await expect(runProgram(script)).rejects.toThrow(
      new Error('The agent was killed by SIGKILL: out of memory'),
    );
  });

  it('is one whose result cannot be read', async () => {
    await expect(runProgram(`say('result', { result: 4 })`)).rejects.toThrow(
      "The agent's result does not fit: result: Invalid input: expected string, received number",
    );
  });

  it('is one that cannot be started', async () => {
    const plainFile = join(folder, 'agent.txt');
    await writeFile(plainFile, 'not a program', { mode: 0o644 });
    for (const [name, code] of [
      ['no-such-program', 'ENOENT'],
      [plainFile, 'EACCES'],
      [join(plainFile, 'agent'), 'ENOTDIR|EACCES'],
    ] as const) {
      const log = new RecordingLogger();
      Logger.overrideLogger(log);
      await expect(runProgram('', new RecordedRun(), { command: [name] })).rejects.toMatchObject({
        message: 'The agent cannot be started; the log of the service says why.',
      });
      expect(log.messages('error')).toEqual([
        expect.stringMatching(
          new RegExp(`^The agent cannot be started \\(.*(${code})\\); AGENT_COMMAND .* "${name}"$`),
        ),
      ]);
    }
  });

  it('is one whose folder has gone', async () => {
    const workingDirectory = join(folder, 'gone');
    const log = new RecordingLogger();
    Logger.overrideLogger(log);
    await expect(runProgram('', new RecordedRun(), { workingDirectory })).rejects.toMatchObject({
      message: 'The agent cannot be started; the log of the service says why.',
    });
    expect(log.messages('error').join()).toContain(
      `a program that can be run from the folder ${workingDirectory}, and names`,
    );
  });
});

describe('a run that is aborted', () => {
  const reason = new Error('The task was cancelled');

  it('ends the whole process group, a grandchild that ignores SIGTERM included', async () => {
    const run = new RecordedRun();
    const running = runProgram(
      `
      say('stage', { stage: 'child', message: String(process.pid) });
      spawn(process.execPath, ['-e', ignoreSigterm], { stdio: 'inherit' });
      `,
      run,
      { killGraceMs: 200 },
    );
    const pids = [
      Number(await run.untilStage('child')),
      Number(await run.untilStage('grandchild')),
    ];
    run.abort(reason);
    await expect(running).rejects.toBe(reason);
    await Promise.all(pids.map(untilGone));
    expect(getEventListeners(run.signal, 'abort')).toEqual([]);
  });

  it('lets the program and its children clean up, however much they still write', async () => {
    const run = new RecordedRun();
    const cleaner = `
      process.on('SIGTERM', () => {
        process.stdout.write('x'.repeat(3_000_000), () => {
          require('node:fs').writeFileSync('NAME', 'clean');
          process.exit(0);
        });
      });
      setInterval(() => {}, 1000);
      console.log('{"type":"stage","stage":"NAME","message":"ready"}');
    `;
    const child = join(folder, 'child');
    const grandchild = join(folder, 'grandchild');
    const running = runProgram(
      `
      import { createRequire } from 'node:module';
      spawn(process.execPath, ['-e', ${JSON.stringify(cleaner.replaceAll('NAME', grandchild))}], { stdio: 'inherit' });
      const require = createRequire(import.meta.url);
      ${cleaner.replaceAll('NAME', child)}
      `,
      run,
    );
    await Promise.all([run.untilStage(child), run.untilStage(grandchild)]);
    run.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(await readFile(child, 'utf8')).toBe('clean');
    expect(await readFile(grandchild, 'utf8')).toBe('clean');
    expect(run.messagesOf('output')).toEqual([]);
  });

  it('ends though nobody answers the report that it waits for', async () => {
    const run = new RecordedRun({ onStage: () => new Promise(() => undefined) });
    const running = runProgram(`say('stage', { stage: 'stuck' }); stayAlive();`, run);
    await run.untilStage('stuck');
    run.abort(reason);
    await expect(running).rejects.toBe(reason);
  });

  it('ends a program that has closed its output before', async () => {
    const run = new RecordedRun();
    const marker = join(folder, 'closed');
    const running = runProgram(
      `
      say('stage', { stage: 'pid', message: String(process.pid) });
      closeSync(1);
      writeFileSync('${marker}', 'closed');
      stayAlive();
      `,
      run,
    );
    const pid = Number(await run.untilStage('pid'));
    while ((await readFile(marker, 'utf8').catch(() => '')) === '') {
      await nextTurn();
    }
    run.abort(reason);
    await expect(running).rejects.toBe(reason);
    await untilGone(pid);
  });

  it('starts nothing when it was aborted before', async () => {
    const run = new RecordedRun();
    run.abort(reason);
    const marker = join(folder, 'started');
    await expect(runProgram(`writeFileSync('${marker}', '')`, run)).rejects.toBe(reason);
    await expect(readFile(marker)).rejects.toThrow('ENOENT');
  });

  it('is rejected even when the program ends well in the meantime', async () => {
    const run = new RecordedRun();
    const script = `process.on('SIGTERM', () => process.exit(0)); stayAlive(); say('stage', { stage: 'on' });`;
    const running = runProgram(script, run);
    await run.untilStage('on');
    run.abort(reason);
    await expect(running).rejects.toBe(reason);
  });
});

describe('a run whose report fails', () => {
  it('ends the program and rejects with that failure', async () => {
    const failure = new Error('The storage does not answer');
    const run = new RecordedRun({ onStage: () => Promise.reject(failure) });
    const running = runProgram(
      `say('stage', { stage: 'pid', message: String(process.pid) }); stayAlive();`,
      run,
    );
    await expect(running).rejects.toBe(failure);
    await untilGone(Number(await run.untilStage('pid')));
  });
});

describe('what a program leaves behind', () => {
  it('is ended when it is in its process group, though it ignores SIGTERM', async () => {
    const run = new RecordedRun();
    const outcome = await runProgram(
      `
      const left = spawn(process.execPath, ['-e', ignoreSigterm], { stdio: ['ignore', 'pipe', 'ignore'] });
      left.stdout.once('data', (line) => {
        writeSync(1, line);
        say('result', { result: 'done' });
        process.exit(0);
      });
      `,
      run,
      { killGraceMs: 200 },
    );
    expect(outcome.result).toBe('done');
    await untilGone(Number(await run.untilStage('grandchild')));
  });

  it('does not hold the run when it left the group with the pipes open', async () => {
    const run = new RecordedRun();
    const outcome = await runProgram(
      `
      const left = spawn(process.execPath, ['-e', ignoreSigterm], { stdio: 'inherit', detached: true });
      left.once('spawn', () => {
        say('stage', { stage: 'escaped', message: String(left.pid) });
        say('result', { result: 'done' });
        process.exit(0);
      });
      `,
      run,
    );
    const pid = Number(await run.untilStage('escaped'));
    try {
      expect(outcome.result).toBe('done');
      expect((await listProcesses()).map((left) => left.pid)).toContain(pid);
    } finally {
      process.kill(pid, 'SIGKILL');
    }
    await untilGone(pid);
  });
});

describe('a service that exits while a program runs', () => {
  it('takes the program along, and what the program has started', async () => {
    const { command, environment } = program(
      `
      process.on('SIGTERM', () => {});
      say('stage', { stage: 'child', message: String(process.pid) });
      spawn(process.execPath, ['-e', ignoreSigterm], { stdio: 'inherit' });
      `,
    );
    const options = { command, environment, workingDirectory: folder, killGraceMs: 600_000 };
    const module = new URL('../../src/agent/command-runner/agent-process.ts', import.meta.url);
    const service = spawn(
      process.execPath,
      [
        '--import=tsx',
        '--input-type=module',
        '-e',
        `
        import { AgentProcess } from '${module.href}';
        const agent = await AgentProcess.start(${JSON.stringify(options)}, '');
        for await (const chunk of agent.output) {
          process.stdout.write(chunk);
          if (chunk.includes('grandchild')) {
            agent.terminate();
            throw new Error('a defect');
          }
        }
        `,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let output = '';
    for await (const chunk of service.stdout) {
      output += String(chunk);
    }
    const pids = output.match(/"message":"\d+"/g)?.map((found) => Number(found.slice(11, -1)));
    expect(pids).toHaveLength(2);
    await Promise.all((pids ?? []).map(untilGone));
  });
});
