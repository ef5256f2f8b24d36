import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { AgentLifecycle } from '../../src/agent/agent-lifecycle.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TaskStorageError } from '../../src/task/errors.js';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { startAgentService, type AgentService } from '../support/agent-service.js';
import { createGate } from '../support/gate.js';
import { interceptStorage, type InterceptedStorage } from '../support/intercepted-storage.js';
import { ManualClock } from '../support/manual-clock.js';
import { passTime } from '../support/pass-time.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

const GRACE_MS = 10_000;

describe('Stopping the service', () => {
  let clock: ManualClock;
  let faulty: InterceptedStorage;
  let runner: ScriptedRunner;
  let service: AgentService;

  beforeEach(async () => {
    clock = new ManualClock();
    faulty = interceptStorage(createMemoryTaskStorage());
    runner = new ScriptedRunner();
    service = await start(runner);
  });

  afterEach(async () => {
    await passTime(clock, service.stop());
    await service.close();
  });

  async function start(with_: ScriptedRunner): Promise<AgentService> {
    return startAgentService(faulty.storage, with_, { clock, shutdownGraceMs: GRACE_MS });
  }

  function run() {
    return service.agent.stream('RunAgentInstruction', { instruction: 'run on' });
  }

  it('waits for a running task that ends in time', async () => {
    const stream = run();
    const scripted = await runner.next();
    const stopped = service.stop();
    await scripted.report('one');
    scripted.finish();
    await stopped;
    const messages = await stream.ended;
    expect(messages.map(({ stage }) => stage)).toEqual(['starting', 'one', 'finished']);
    expect(scripted.run.signal.aborted).toBe(false);
  });

  it('interrupts a task that does not end in time and tells everybody who follows it', async () => {
    const stream = run();
    const scripted = await runner.next();
    const { taskId } = scripted;
    const followers = Array.from({ length: 30 }, () =>
      service.agent.stream('GetAgentTaskStream', { taskId }),
    );
    await Promise.all([stream, ...followers].map(async (follower) => follower.next()));
    await passTime(clock, service.stop());
    await scripted.aborted;
    expect((await stream.ended).at(-1)).toMatchObject({
      stage: 'error',
      message: expect.stringContaining('the service was stopped'),
    });
    for (const follower of followers) {
      expect((await follower.ended).at(-1)?.taskStream.stage).toBe('error');
    }
    expect(await faulty.storage.getTask(taskId)).toMatchObject({
      status: 'error',
      finalState: 'interrupted',
      error: expect.stringContaining('the service was stopped'),
    });
  });

  it('refuses new tasks while it stops', async () => {
    const stream = run();
    const scripted = await runner.next();
    await stream.next();
    const stopped = service.stop();
    const error = await statusOf(
      service.agent.call('RunAgentInstructionAsync', { instruction: 'one more' }),
    );
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(errorInfoOf(error).reason).toBe('STOPPING');
    scripted.finish();
    await stopped;
  });

  it('ends the streams of tasks that another process runs', async () => {
    await faulty.storage.createTask(
      { taskId: 'elsewhere', query: 'q', maxSteps: 1 },
      { events: [{ stage: 'starting', message: '' }] },
    );
    const stream = service.agent.stream('GetAgentTaskStream', { taskId: 'elsewhere' });
    await stream.next();
    await service.stop();
    const error = await statusOf(stream.ended);
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(errorInfoOf(error).reason).toBe('STOPPING');
    expect((await faulty.storage.getTask('elsewhere'))?.status).toBe('pending');
  });

  it('does not wait for ever for a runner that ignores its signal', async () => {
    await service.stop();
    const stubborn = new ScriptedRunner(false);
    service = await start(stubborn);
    const { taskId } = await service.agent.call('RunAgentInstructionAsync', { instruction: 'run' });
    await stubborn.next();
    await passTime(clock, service.stop());
    expect(await faulty.storage.getTask(taskId)).toMatchObject({ finalState: 'interrupted' });
  });

  it('does not wait for ever for a storage that does not answer', async () => {
    const { taskId } = await service.agent.call('RunAgentInstructionAsync', { instruction: 'run' });
    await runner.next();
    faulty.intercept(async () => {
      throw new TaskStorageError('UNAVAILABLE', 'down');
    });
    await passTime(clock, service.stop());
    expect(service.logger.messages('error').join()).toContain(`Task ${taskId} is left as it is`);
    faulty.intercept(null);
    expect((await faulty.storage.getTask(taskId))?.status).toBe('running');
  });

  it('interrupts and does not cancel a task whose call breaks because the port closes first', async () => {
    const stream = run();
    const scripted = await runner.next();
    await stream.next();
    const closed = service.close();
    await statusOf(stream.ended);
    await passTime(clock, closed);
    expect(await faulty.storage.getTask(scripted.taskId)).toMatchObject({
      status: 'error',
      finalState: 'interrupted',
    });
  });

  it('interrupts such a task too when its stages are being read while the port closes', async () => {
    const stream = run();
    const scripted = await runner.next();
    await stream.next();
    const reading = createGate();
    const read = createGate();
    faulty.intercept(async (operation) => {
      if (operation === 'listEvents') {
        reading.open();
        await read.opened;
      }
    });
    void scripted.report('one');
    await reading.opened;
    const portClosed = createGate();
    const lifecycle = service.app.get(AgentLifecycle, { strict: false });
    // Nest calls it as soon as the port has closed.
    jest.spyOn(lifecycle, 'onModuleDestroy').mockImplementationOnce(() => portClosed.open());
    const closed = service.close();
    await statusOf(stream.ended);
    await portClosed.opened;
    read.open();
    await passTime(clock, closed);
    expect(await faulty.storage.getTask(scripted.taskId)).toMatchObject({
      finalState: 'interrupted',
    });
  });
});
