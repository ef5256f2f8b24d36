import { describe, expect, it, jest } from '@jest/globals';
import { InstanceLock } from '../../src/agent/supervisor/instance-lock.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TaskStorageError } from '../../src/task/errors.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { startAgentService } from '../support/agent-service.js';
import { describeAgentService } from '../support/agent-suite.js';
import { eventually } from '../support/eventually.js';
import { interceptStorage } from '../support/intercepted-storage.js';
import { ManualClock } from '../support/manual-clock.js';
import { passTime } from '../support/pass-time.js';

describeAgentService('Tasks of an earlier start', (suite) => {
  async function storeTask(taskId: string, leaseOwner: string | null, status = 'pending') {
    await suite.storage.deleteTask(taskId);
    await suite.storage.createTask(
      { taskId, query: 'q', maxSteps: 1, leaseOwner },
      { events: [{ stage: 'starting', message: '' }] },
    );
    if (status === 'running') {
      await suite.storage.updateTask(taskId, { status: 'running' });
    }
  }

  async function startInstance(instanceId: string) {
    return startAgentService(suite.storage, null, { instanceId });
  }

  it('are ended as interrupted, with an event and a line in the log', async () => {
    await storeTask('pending', 'host:1#boot');
    await storeTask('running', 'host:1#boot', 'running');
    const service = await startInstance('host:1');
    for (const taskId of ['pending', 'running']) {
      expect(await suite.storage.getTask(taskId)).toMatchObject({
        status: 'error',
        finalState: 'interrupted',
        error: expect.stringContaining('the service was stopped'),
        leaseOwner: null,
      });
      const stream = service.agent.stream('GetAgentTaskStream', { taskId });
      const messages = await stream.ended;
      expect(messages.map(({ taskStream }) => taskStream.stage)).toEqual(['starting', 'error']);
    }
    expect(service.logger.messages('warn').join()).toContain('Ended 2 tasks as interrupted');
    await service.close();
  });

  it('are left alone when they belong to somebody else', async () => {
    const owners = ['host:2#boot', 'host:1', null, 'host:1#extra#boot', '#boot'];
    for (const [index, owner] of owners.entries()) {
      await storeTask(`other-${index}`, owner);
    }
    const service = await startInstance('host:1');
    for (const index of owners.keys()) {
      expect((await suite.storage.getTask(`other-${index}`))?.status).toBe('pending');
      await suite.storage.deleteTask(`other-${index}`);
    }
    await service.close();
  });

  it('are all found when there are more than one page of them', async () => {
    const count = 1_001;
    const indexes = Array.from({ length: count }, (_, index) => index);
    const store = async (index: number): Promise<boolean> =>
      suite.storage.createTask({
        taskId: `many-${index}`,
        query: 'q',
        maxSteps: 1,
        leaseOwner: 'host:3#boot',
      });
    for (let stored = 0; stored < count; stored += 100) {
      await Promise.all(indexes.slice(stored, stored + 100).map(store));
    }
    const service = await startInstance('host:3');
    await eventually(
      async () => suite.storage.countActiveTasks(),
      (active) => active === 0,
    );
    const warnings = await eventually(
      () => service.logger.messages('warn').join(),
      (logged) => logged !== '',
    );
    expect(warnings).toContain(`Ended ${count} tasks`);
    await service.close();
  });

  it('are not overwritten when somebody else is faster', async () => {
    await storeTask('raced', 'host:4#boot', 'running');
    const raced = interceptStorage(suite.storage);
    raced.intercept(async (operation) => {
      if (operation === 'updateTask') {
        raced.intercept(null);
        await suite.storage.updateTask('raced', { status: 'finished', result: 'in time' });
      }
    });
    const service = await startAgentService(raced.storage, null, { instanceId: 'host:4' });
    expect(await suite.storage.getTask('raced')).toMatchObject({
      status: 'finished',
      result: 'in time',
    });
    expect(service.logger.messages('warn')).toEqual([]);
    await service.close();
  });

  it('are ended later when the storage does not answer at the start', async () => {
    await storeTask('later', 'host:5#boot');
    const faulty = interceptStorage(suite.storage);
    let failures = 0;
    faulty.intercept(async () => {
      failures += 1;
      if (failures === 3) {
        faulty.intercept(null);
      }
      throw new TaskStorageError('UNAVAILABLE', 'down');
    });
    const service = await startAgentService(faulty.storage, null, { instanceId: 'host:5' });
    await eventually(
      async () => suite.storage.getTask('later'),
      (task) => task?.finalState === 'interrupted',
    );
    await service.close();
  });
});

describe('The name of an instance', () => {
  it('stops a service that learns after its start that another process has it', async () => {
    const clock = new ManualClock();
    const faulty = interceptStorage(createMemoryTaskStorage());
    const start = async () =>
      startAgentService(faulty.storage, null, { instanceId: 'host:1', clock });
    const first = await start();
    faulty.intercept(async () => {
      throw new TaskStorageError('UNAVAILABLE', 'down');
    });
    const second = await passTime(clock, start());
    const stopProcess = jest.spyOn(process, 'kill').mockReturnValue(true);
    faulty.intercept(null);
    await clock.advance(20_000);
    expect(stopProcess.mock.calls).toEqual([[process.pid, 'SIGTERM']]);
    stopProcess.mockRestore();
    expect(second.logger.messages('error').join()).toContain('TASK_INSTANCE_ID is "host:1"');
    await second.close();
    await first.close();
  });

  it('is waited for no longer when the service is stopped', async () => {
    const clock = new ManualClock();
    const storage = createMemoryTaskStorage();
    const first = await startAgentService(storage, null, { instanceId: 'host:1', clock });
    const lock = new InstanceLock(storage, clock, 'host:1');
    const stopping = new AbortController();
    const acquired = lock.acquire(stopping.signal);
    await clock.hasTimer();
    stopping.abort();
    expect(await acquired).toBe(false);
    await first.close();
  });

  it('does not keep a service from stopping when the storage does not take it back', async () => {
    const clock = new ManualClock();
    const storage = createMemoryTaskStorage();
    const hanging: TaskStorage = Object.create(storage, {
      runExclusively: {
        value: async (name: string, work: (lost: AbortSignal) => Promise<unknown>) =>
          storage.runExclusively(name, async (lost) => {
            await work(lost);
            await new Promise(() => undefined);
          }),
      },
    });
    const service = await startAgentService(hanging, null, { instanceId: 'host:1', clock });
    await passTime(clock, service.stop());
    await passTime(clock, service.close());
  });

  it('is taken while a process runs under it, and then free for its successor', async () => {
    const clock = new ManualClock();
    const storage = createMemoryTaskStorage();
    const start = async () => startAgentService(storage, null, { instanceId: 'host:1', clock });
    const first = await start();
    await storage.createTask({ taskId: 'alive', query: 'q', maxSteps: 1, leaseOwner: 'host:1#x' });
    await expect(passTime(clock, start())).rejects.toThrow(
      'TASK_INSTANCE_ID is "host:1", under which another process runs; give each replica its own',
    );
    expect((await storage.getTask('alive'))?.status).toBe('pending');
    await first.stop();
    const successor = await start();
    expect((await storage.getTask('alive'))?.finalState).toBe('interrupted');
    await successor.close();
    await first.close();
  });
});
