import { beforeEach, describe, expect, it } from '@jest/globals';
import { TaskStorageError } from '../../src/task/errors.js';
import type { TaskStatus } from '../../src/task/task.js';
import { REQUEST } from '../support/agent-parts.js';
import { LEASE_MS, SupervisedAgent } from '../support/supervised-agent.js';

const CONFUSED = new TaskStorageError('INTERNAL', 'The storage is confused');

describe('A task that somebody else ends', () => {
  let agent: SupervisedAgent;

  beforeEach(() => {
    agent = new SupervisedAgent();
  });

  async function updateStatus(taskId: string, status: TaskStatus): Promise<unknown> {
    return agent.storage.updateTask(taskId, { status });
  }

  it('notices that another process has cancelled the task when a stage is written', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    agent.changes.silence();
    await agent.storage.updateTask(taskId, { status: 'cancelled' });
    void run.report('one');
    await run.aborted;
    run.finish({ result: 'too late' });
    await agent.supervisor.stop(0);
    expect(await agent.storage.getTask(taskId)).toMatchObject({
      status: 'cancelled',
      result: null,
    });
  });

  it('notices that another process has cancelled the task when progress is written', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    agent.changes.silence();
    await agent.storage.updateTask(taskId, { status: 'cancelled' });
    void run.run.saveProgress({ executionStatistics: { steps: 1 } });
    await run.aborted;
    expect(await agent.storage.getTask(taskId)).toMatchObject({ executionStatistics: null });
  });

  it.each([
    ['cancelled', async (taskId: string) => updateStatus(taskId, 'cancelled')],
    ['deleted', async (taskId: string) => agent.storage.deleteTask(taskId)],
  ])('stops a silent runner at the hint that its task was %s', async (_what, end) => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    agent.changes.silence();
    await end(taskId);
    agent.changes.tell('ended', 'another');
    agent.changes.tell('written', taskId);
    await agent.clock.advance(0);
    expect(run.run.signal.aborted).toBe(false);
    agent.changes.tell('ended', taskId);
    await run.aborted;
  });

  it.each([
    ['cancelled', async (taskId: string) => updateStatus(taskId, 'cancelled')],
    ['deleted', async (taskId: string) => agent.storage.deleteTask(taskId)],
  ])('stops a silent runner without a hint when its task was %s', async (_what, end) => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    await agent.clock.advance(60_000);
    expect(run.run.signal.aborted).toBe(false);
    agent.changes.silence();
    await end(taskId);
    await agent.clock.advance(LEASE_MS / 6);
    expect(run.run.signal.aborted).toBe(true);
    run.finish();
    await agent.supervisor.stop(0);
    expect(await agent.operationsWithin(60_000)).toEqual([]);
  });

  it('believes no hint that the storage does not confirm', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    agent.changes.tell('ended', taskId);
    await agent.clock.advance(0);
    agent.refuse('getTask', 1, CONFUSED);
    agent.changes.tell('ended', taskId);
    await agent.clock.advance(0);
    expect(run.run.signal.aborted).toBe(false);
  });
});
