import { beforeEach, describe, expect, it } from '@jest/globals';
import { REQUEST } from '../support/agent-parts.js';
import { SupervisedAgent } from '../support/supervised-agent.js';

describe('TaskSupervisor', () => {
  let agent: SupervisedAgent;

  beforeEach(() => {
    agent = new SupervisedAgent();
  });

  it('marks the tasks that it runs as its own', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    await agent.runner.next();
    expect(await agent.storage.getTask(taskId)).toMatchObject({
      status: 'running',
      leaseOwner: 'me#now',
      leaseExpiresAt: expect.any(Date),
      attempt: 1,
      version: 2,
    });
  });

  it('never starts the runner of a task that is cancelled while it is pending', async () => {
    const start = agent.holdBack('updateTask');
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    await start.reached;
    const cancellation = agent.supervisor.cancel(agent.scope, taskId);
    start.letGo();
    expect(await cancellation).toEqual({ kind: 'cancelled' });
    expect(await agent.stagesOf(taskId)).toEqual(['starting', 'cancelled']);
    expect(agent.runner.started).toBe(0);
  });

  it('never starts the runner of a task that another process cancels while it is pending', async () => {
    const start = agent.holdBack('updateTask');
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    await start.reached;
    await agent.storage.updateTask(taskId, { status: 'cancelled' });
    start.letGo();
    await agent.supervisor.stop(0);
    expect(agent.runner.started).toBe(0);
    expect((await agent.storage.getTask(taskId))?.status).toBe('cancelled');
  });

  it('lets a task finish whose end was being written when the cancellation came', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    const end = agent.holdBack('updateTask');
    run.finish({ result: 'in time' });
    await end.reached;
    const cancellation = agent.supervisor.cancel(agent.scope, taskId);
    end.letGo();
    expect(await cancellation).toEqual({ kind: 'ended-before', status: 'finished' });
    expect(await agent.storage.getTask(taskId)).toMatchObject({ result: 'in time' });
  });

  it('writes one end when a task is cancelled by many at once', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    await agent.runner.next();
    const cancellations = await Promise.all(
      Array.from({ length: 5 }, async () => agent.supervisor.cancel(agent.scope, taskId)),
    );
    expect(cancellations.filter(({ kind }) => kind === 'cancelled')).toHaveLength(1);
    expect(await agent.stagesOf(taskId)).toEqual(['starting', 'cancelled']);
  });

  it('flushes the stages that were reported before a cancellation', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    const append = agent.holdBack('appendEvents');
    void run.report('one');
    void run.report('two');
    await append.reached;
    const cancellation = agent.supervisor.cancel(agent.scope, taskId);
    append.letGo();
    await cancellation;
    expect(await agent.stagesOf(taskId)).toEqual(['starting', 'one', 'two', 'cancelled']);
  });

  it('goes on when somebody else has changed another field of the task', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    await agent.storage.updateTask(taskId, { timestampDir: '/somewhere' });
    await run.run.saveProgress({ executionStatistics: { steps: 1 } });
    run.finish();
    expect(await agent.stagesOf(taskId)).toEqual(['starting', 'finished']);
    expect(await agent.storage.getTask(taskId)).toMatchObject({
      executionStatistics: { steps: 1 },
      timestampDir: '/somewhere',
    });
  });

  it('aborts the runner of a task that is deleted', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    expect(await agent.supervisor.delete(agent.scope, taskId)).toBe(true);
    await run.aborted;
    expect(await agent.supervisor.delete(agent.scope, taskId)).toBe(false);
    expect(await agent.supervisor.cancel(agent.scope, taskId)).toEqual({ kind: 'unknown' });
  });

  it('makes everything storable that a runner says', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    await run.report('a\0b', 'half a pair: \u{D800}');
    await run.report('', 'no name');
    await run.report('😀'.repeat(300), 'long');
    await run.run.saveProgress({
      conversationHistory: { 'key\0': ['text\u{DC00}'] },
      executionStatistics: { cost: Number.NaN },
    });
    run.finish({ finalState: 'x'.repeat(60), result: 'done\0' });
    const [, first, second, third] = await agent.eventsOf(taskId);
    expect(first).toMatchObject({ stage: 'a\u{FFFD}b', message: 'half a pair: \u{FFFD}' });
    expect(second?.stage).toBe('unnamed');
    expect(Array.from(third?.stage ?? '')).toHaveLength(255);
    expect(await agent.storage.getTask(taskId)).toMatchObject({
      status: 'finished',
      finalState: 'x'.repeat(50),
      result: 'done\u{FFFD}',
      conversationHistory: { 'key\u{FFFD}': ['text\u{FFFD}'] },
      executionStatistics: null,
    });
    expect(agent.logger.messages('warn').join()).toContain('executionStatistics.cost is NaN');
  });

  it('ends a task whose runner breaks its contract', async () => {
    for (const outcome of [undefined, null, 7]) {
      const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
      const run = await agent.runner.next();
      Reflect.apply(run.finish, run, [outcome]);
      expect((await agent.stagesOf(taskId)).at(-1)).toMatch(/finished|error/);
    }
    for (const reason of ['just text', undefined, new Error('')]) {
      const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
      const run = await agent.runner.next();
      run.fail(reason);
      const last = (await agent.eventsOf(taskId)).at(-1);
      expect(last?.stage).toBe('error');
      expect(last?.message).not.toBe('');
    }
  });

  it('does not tell a runner to stop that has ended by itself', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    run.finish();
    await agent.stagesOf(taskId);
    expect(run.run.signal.aborted).toBe(false);
  });
});
