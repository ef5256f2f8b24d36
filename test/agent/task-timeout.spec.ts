import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { startAgentService, type AgentService } from '../support/agent-service.js';
import { ManualClock } from '../support/manual-clock.js';
import { passTime } from '../support/pass-time.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

const MS_PER_SECOND = 1_000;
const DEFAULT_TIMEOUT_SECONDS = 3_600;

describe('The time limit of a task', () => {
  let clock: ManualClock;
  let storage: TaskStorage;
  let runner: ScriptedRunner;
  let service: AgentService;

  beforeEach(async () => {
    clock = new ManualClock();
    storage = createMemoryTaskStorage();
    runner = new ScriptedRunner(false);
    service = await startAgentService(storage, runner, { clock, allowSetGlobalConfig: true });
  });

  afterEach(async () => {
    await passTime(clock, service.stop());
    await service.close();
  });

  async function expectTimeout(runningConfig: object | undefined, seconds: number): Promise<void> {
    const request = { instruction: 'run on', ...(runningConfig && { runningConfig }) };
    const { taskId } = await service.agent.call('RunAgentInstructionAsync', request);
    const run = await runner.next();
    await clock.advance(seconds * MS_PER_SECOND - 1);
    expect((await storage.getTask(taskId))?.status).toBe('running');
    await clock.advance(1);
    await run.aborted;
    run.finish({ result: 'too late' });
    const messages = await service.agent.stream('GetAgentTaskStream', { taskId }).ended;
    expect(messages.at(-1)?.taskStream).toMatchObject({
      stage: 'error',
      message: `The task was stopped because it took longer than its limit of ${seconds} seconds.`,
    });
    expect(await service.agent.call('QueryTaskStatus', { taskId })).toMatchObject({
      status: 'FAILURE',
      message: expect.stringContaining(`limit of ${seconds} seconds`),
      result: '',
    });
    expect(await storage.getTask(taskId)).toMatchObject({ finalState: 'timeout', result: null });
  }

  it('is that of the request', async () => {
    await expectTimeout({ taskTimeout: 5 }, 5);
  });

  it('is an hour when neither the request nor the global configuration says more than 0', async () => {
    await expectTimeout(undefined, DEFAULT_TIMEOUT_SECONDS);
    await expectTimeout({ taskTimeout: 0 }, DEFAULT_TIMEOUT_SECONDS);
    await expectTimeout({ taskTimeout: -1 }, DEFAULT_TIMEOUT_SECONDS);
  });

  it('is that of the global configuration when the request says none above 0', async () => {
    await service.agent.call('SetGlobalCommonConfig', { commonConfig: { taskTimeout: 7 } });
    await expectTimeout({ taskTimeout: 0 }, 7);
  });

  it('may be further away than timers reach', async () => {
    const seconds = 2_147_483_647;
    const longestTimerMs = 2_147_483_647;
    const after = clock.after.bind(clock);
    // Renewing the lease every few seconds would take years here too.
    const never = () => () => undefined;
    clock.after = (delayMs, callback) =>
      delayMs < longestTimerMs ? never() : after(longestTimerMs, callback);
    await expectTimeout({ taskTimeout: seconds }, seconds);
    clock.after = after;
  });

  it('does not end a task that has ended', async () => {
    const request = { instruction: 'be quick', runningConfig: { taskTimeout: 7 } };
    const { taskId } = await service.agent.call('RunAgentInstructionAsync', request);
    (await runner.next()).finish();
    await service.agent.stream('GetAgentTaskStream', { taskId }).ended;
    expect(clock.delays).not.toContain(7 * MS_PER_SECOND);
    await clock.advance(7 * MS_PER_SECOND);
    expect((await storage.getTask(taskId))?.status).toBe('finished');
  });
});
