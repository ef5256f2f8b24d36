import { expect, it } from '@jest/globals';
import { describeReplicas, pass, renew, submitTo } from '../support/agent-replicas.js';

const POLL_MS = 1_000;
const TASK_READ_MS = 5_000;

describeReplicas('A task that another replica runs', (replicas) => {
  async function startTwo() {
    const runs = await replicas.start('host:1');
    const other = await replicas.start('host:2', { runner: null });
    const taskId = await submitTo(runs);
    return { runs, other, taskId, run: await runs.runner.next() };
  }

  it('is cancelled in the storage, and its runner is told by a hint', async () => {
    const { other, taskId, run } = await startTwo();
    const { agent } = other.service;
    expect(await agent.call('CancelTask', { taskId })).toMatchObject({ success: true });
    await run.aborted;
    run.finish({ result: 'too late' });
    expect(await replicas.task(taskId)).toMatchObject({ status: 'cancelled', result: null });
    expect(await replicas.stagesOf(taskId)).toEqual(['starting', 'cancelled']);
  });

  it('is cancelled too when hints are silent: the next renewal tells its runner', async () => {
    const { runs, other, taskId, run } = await startTwo();
    runs.changes.silence();
    await other.service.agent.call('CancelTask', { taskId });
    await runs.quiet();
    expect(run.run.signal.aborted).toBe(false);
    await renew(runs);
    expect(run.run.signal.aborted).toBe(true);
  });

  it('is stopped when it is deleted, by a hint or by the next renewal', async () => {
    const { runs, other, taskId, run } = await startTwo();
    await other.service.tasks.call('DeleteTask', { task_id: taskId });
    await run.aborted;
    const second = await submitTo(runs);
    const silent = await runs.runner.next();
    runs.changes.silence();
    await other.service.tasks.call('DeleteTask', { task_id: second });
    await runs.quiet();
    expect(silent.run.signal.aborted).toBe(false);
    await renew(runs);
    expect(silent.run.signal.aborted).toBe(true);
  });

  it('is followed live, by hints alone', async () => {
    const { other, taskId, run } = await startTwo();
    const stream = other.service.agent.stream('GetAgentTaskStream', { taskId });
    await stream.next();
    for (const stage of ['one', 'two']) {
      await run.report(stage);
      expect((await stream.next()).taskStream.stage).toBe(stage);
    }
    run.finish();
    expect((await stream.ended).at(-1)?.taskStream.stage).toBe('finished');
  });

  it('is followed by polling when hints are silent', async () => {
    const { runs, other, taskId, run } = await startTwo();
    other.changes.silence();
    const stream = other.service.agent.stream('GetAgentTaskStream', { taskId });
    await stream.next();
    await other.quiet();
    for (const stage of ['one', 'two']) {
      await run.report(stage);
      await runs.quiet();
      await pass(other, POLL_MS);
      expect((await stream.next()).taskStream.stage).toBe(stage);
    }
    run.finish();
    await replicas.untilTask(taskId, ({ status }) => status === 'finished');
    await pass(other, POLL_MS);
    expect((await stream.ended).at(-1)?.taskStream.stage).toBe('finished');
  });

  it('is known to be deleted by those who follow it, hints or no hints', async () => {
    const { other, taskId } = await startTwo();
    const hearing = await replicas.start('host:3', { runner: null });
    other.changes.silence();
    const [deaf, live] = [other, hearing].map(({ service }) =>
      service.agent.stream('GetAgentTaskStream', { taskId }),
    );
    await deaf?.next();
    await live?.next();
    await other.quiet();
    await replicas.storage.deleteTask(taskId);
    await expect(live?.ended).rejects.toThrow(`Task with ID ${taskId} not found.`);
    await pass(other, POLL_MS + TASK_READ_MS);
    await expect(deaf?.ended).rejects.toThrow(`Task with ID ${taskId} not found.`);
  });
});
