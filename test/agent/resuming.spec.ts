import { expect, it } from '@jest/globals';
import { TaskStorageError } from '../../src/task/errors.js';
import {
  describeReplicas,
  pass,
  search,
  stopReplica,
  submitTo,
} from '../support/agent-replicas.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

function resumable(stopsWhenTold = true): ScriptedRunner {
  return new ScriptedRunner(stopsWhenTold, true);
}

describeReplicas('A task of a resumable runner', (replicas) => {
  async function start(name: string, runner = resumable()) {
    return replicas.start(name, { runner });
  }

  it('is run again when its replica is lost, with what was saved', async () => {
    const [lost, other] = [await start('host:1'), await start('host:2')];
    const previousTaskId = await submitTo(lost);
    const conversationHistory = { planner: ['hello'] };
    (await lost.runner.next()).finish({ conversationHistory });
    await replicas.untilTask(previousTaskId, ({ status }) => status === 'finished');
    const request = {
      previousTaskId,
      runningConfig: { steps: 7, taskTimeout: 60, backend: 'b' },
      sandbox: { id: 'box-1' },
    };
    const taskId = await submitTo(lost, request);
    const first = await lost.runner.next();
    expect(first.run).toMatchObject({ attempt: 1, saved: {} });
    await first.report('one');
    await first.run.saveProgress({ executionStatistics: { steps: 3 } });
    await replicas.expireLease(taskId);
    await search(other);
    const second = await other.runner.next();
    expect(second.run).toMatchObject({
      taskId,
      attempt: 2,
      instruction: 'open the calculator',
      maxSteps: 7,
      request: first.run.request,
      previous: { taskId: previousTaskId, conversationHistory, sandboxInfo: null },
      saved: {
        executionStatistics: { steps: 3 },
        sandboxInfo: { id: 'box-1', os: 0, shape_name: '' },
      },
    });
    await second.report('two');
    second.finish({ result: 'done' });
    const { agent } = other.service;
    const messages = await agent.stream('GetAgentTaskStream', { taskId }).ended;
    expect(messages.map(({ taskStream }) => [taskStream.stage, taskStream.message])).toEqual([
      ['starting', 'Task is starting.'],
      ['one', ''],
      ['resuming', 'Task is resumed in attempt 2.'],
      ['two', ''],
      ['finished', 'Task finished with status: completed'],
    ]);
    expect(await replicas.task(taskId)).toMatchObject({
      result: 'done',
      attempt: 2,
      maxAttempts: 3,
      executionStatistics: { steps: 3 },
    });
  });

  it('keeps the same time limit in each attempt', async () => {
    const [lost, other] = [await start('host:1'), await start('host:2')];
    const taskId = await submitTo(lost, { runningConfig: { taskTimeout: 2 } });
    await lost.runner.next();
    await replicas.expireLease(taskId);
    await search(other);
    const second = await other.runner.next();
    await other.clock.advance(2_000);
    await second.aborted;
    await replicas.untilTask(taskId, ({ finalState }) => finalState === 'timeout');
  });

  it('is given up after the last attempt, naming the replica that was lost', async () => {
    const ones = [await start('host:1'), await start('host:2')] as const;
    const taskId = await submitTo(ones[0]);
    await ones[0].runner.next();
    for (const attempt of [2, 3]) {
      const replica = ones[(attempt + 1) % 2] ?? ones[0];
      await replicas.expireLease(taskId);
      await search(replica);
      expect((await replica.runner.next()).run.attempt).toBe(attempt);
    }
    await replicas.expireLease(taskId);
    await search(ones[1]);
    expect(await replicas.task(taskId)).toMatchObject({
      status: 'error',
      finalState: 'interrupted',
      error: expect.stringMatching(/replica host:[12] that ran it was lost/),
    });
    expect(await replicas.stagesOf(taskId)).toEqual(['starting', 'resuming', 'resuming', 'error']);
  });

  it('is run again by a replica that was started under the name of the lost one', async () => {
    const lost = await start('host:1');
    const taskId = await submitTo(lost);
    await lost.runner.next();
    await replicas.expireLease(taskId);
    const restarted = await start('host:1');
    await search(restarted);
    expect((await restarted.runner.next()).run.attempt).toBe(2);
  });

  it('is left by a replica without a runner to those with one', async () => {
    const [lost, idle] = [await start('host:1'), await replicas.start('idle', { runner: null })];
    const taskId = await submitTo(lost);
    await lost.runner.next();
    await replicas.expireLease(taskId);
    await search(idle);
    expect(await replicas.task(taskId)).toMatchObject({ status: 'running', attempt: 1 });
    const other = await start('host:2');
    await other.runner.next();
  });

  it('is ended by a replica whose runner does not resume', async () => {
    const lost = await start('host:1');
    const taskId = await submitTo(lost);
    await lost.runner.next();
    await replicas.expireLease(taskId);
    const other = await start('host:2', new ScriptedRunner());
    await search(other);
    expect((await replicas.task(taskId)).finalState).toBe('interrupted');
    expect(other.runner.started).toBe(0);
  });

  it('waits for its former run in the same process before it is run again', async () => {
    const stubborn = resumable(false);
    const replica = await start('host:1', stubborn);
    const taskId = await submitTo(replica);
    const first = await stubborn.next();
    replica.line.intercept(async (operation) => {
      if (operation === 'renew') {
        throw new TaskStorageError('UNAVAILABLE', 'down');
      }
    });
    await pass(replica, 20_000);
    await first.aborted;
    replica.line.intercept(null);
    await replicas.expireLease(taskId);
    await search(replica);
    await replicas.untilTask(taskId, ({ attempt }) => attempt === 2);
    expect(stubborn.started).toBe(1);
    first.fail(new Error('stopped'));
    expect((await stubborn.next()).run.attempt).toBe(2);
  });

  it('is handed to another replica when its own is stopped', async () => {
    const [stopped, other] = [await start('host:1'), await start('host:2')];
    const taskId = await submitTo(stopped);
    const first = await stopped.runner.next();
    await first.report('one');
    const stream = other.service.agent.stream('GetAgentTaskStream', { taskId });
    await stopReplica(stopped);
    await first.aborted;
    await replicas.untilTask(
      taskId,
      ({ leaseExpiresAt }) => Date.now() > (leaseExpiresAt?.getTime() ?? Infinity),
    );
    await search(other);
    const second = await other.runner.next();
    expect(second.run.attempt).toBe(2);
    second.finish();
    expect((await stream.ended).map(({ taskStream }) => taskStream.stage)).toEqual([
      'starting',
      'one',
      'resuming',
      'finished',
    ]);
  });

  it('is not handed over while its runner may still work', async () => {
    const stubborn = resumable(false);
    const stopped = await start('host:1', stubborn);
    const taskId = await submitTo(stopped);
    const run = await stubborn.next();
    const stopping = stopReplica(stopped);
    await run.aborted;
    await stopped.clock.advance(8_000);
    await stopping;
    const { leaseExpiresAt } = await replicas.task(taskId);
    expect(leaseExpiresAt?.getTime()).toBeGreaterThan(Date.now() + 10_000);
    run.finish();
  });

  it('is interrupted by a replica that stops in the last attempt', async () => {
    const replica = await replicas.start('host:1', { runner: resumable(), maxAttempts: 1 });
    const taskId = await submitTo(replica);
    await replica.runner.next();
    await stopReplica(replica);
    expect(await replicas.task(taskId)).toMatchObject({
      finalState: 'interrupted',
      error: expect.stringContaining('the service was stopped'),
    });
  });
});
