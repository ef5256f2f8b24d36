import { expect, it } from '@jest/globals';
import { TaskStorageError } from '../../src/task/errors.js';
import { describeReplicas, renew, search, submitTo } from '../support/agent-replicas.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

describeReplicas('A run whose task was taken over', (replicas) => {
  /** A replica runs a task, hears nothing, and another replica takes the task over. */
  async function takeOver() {
    const runners = [new ScriptedRunner(false, true), new ScriptedRunner(false, true)] as const;
    const former = await replicas.start('host:1', { runner: runners[0] });
    const taskId = await submitTo(former);
    const run = await runners[0].next();
    former.changes.silence();
    await run.report('mine');
    const other = await replicas.start('host:2', { runner: runners[1] });
    await replicas.expireLease(taskId);
    await search(other);
    return { former, run, other, taken: await runners[1].next(), taskId };
  }

  it('cannot write stages, and its runner is told to stop', async () => {
    const { run, taken, taskId } = await takeOver();
    await run.report('late');
    await run.aborted;
    await taken.report('new');
    taken.finish();
    await replicas.untilTask(taskId, ({ status }) => status === 'finished');
    expect(await replicas.stagesOf(taskId)).toEqual([
      'starting',
      'mine',
      'resuming',
      'new',
      'finished',
    ]);
  });

  it('cannot write progress', async () => {
    const { run, taskId } = await takeOver();
    await run.run.saveProgress({ executionStatistics: { steps: 99 } });
    await run.aborted;
    expect((await replicas.task(taskId)).executionStatistics).toBeNull();
  });

  it('cannot write its end', async () => {
    const { former, run, taken, taskId } = await takeOver();
    run.finish({ result: 'too late' });
    await former.quiet();
    expect((await replicas.task(taskId)).status).toBe('running');
    taken.finish({ result: 'in time' });
    const task = await replicas.untilTask(taskId, ({ status }) => status === 'finished');
    expect(task.result).toBe('in time');
  });

  it('is stopped at the next renewal when it is silent', async () => {
    const { former, run, taken } = await takeOver();
    await renew(former);
    expect(run.run.signal.aborted).toBe(true);
    expect(taken.run.signal.aborted).toBe(false);
  });

  it("prolongs nothing that is another one's", async () => {
    const { former, taskId } = await takeOver();
    const before = await replicas.task(taskId);
    await renew(former);
    expect(await replicas.task(taskId)).toEqual(before);
  });
});

describeReplicas('A replica that cannot reach the storage', (replicas) => {
  it('stops its runner before another one can start it', async () => {
    const runner = new ScriptedRunner(true, true);
    const cutOff = await replicas.start('host:1', { runner });
    await submitTo(cutOff);
    const run = await runner.next();
    cutOff.line.intercept(async () => {
      throw new TaskStorageError('UNAVAILABLE', 'down');
    });
    await cutOff.clock.advance(19_999);
    expect(run.run.signal.aborted).toBe(false);
    await cutOff.clock.advance(1);
    expect(run.run.signal.aborted).toBe(true);
  });

  it('leaves the task to be taken up by itself or others when the storage is back', async () => {
    const runner = new ScriptedRunner(true, true);
    const cutOff = await replicas.start('host:1', { runner });
    const taskId = await submitTo(cutOff);
    const run = await runner.next();
    cutOff.line.intercept(async () => {
      throw new TaskStorageError('UNAVAILABLE', 'down');
    });
    await cutOff.clock.advance(20_000);
    await run.aborted;
    cutOff.line.intercept(null);
    const busy = await submitTo(cutOff);
    await runner.next();
    await renew(cutOff);
    const { leaseExpiresAt } = await replicas.task(taskId);
    await renew(cutOff);
    // The lease of the run that goes on is prolonged, that of the run that was stopped is not.
    expect((await replicas.task(taskId)).leaseExpiresAt).toEqual(leaseExpiresAt);
    expect((await replicas.task(busy)).leaseExpiresAt).not.toEqual(leaseExpiresAt);
    await replicas.expireLease(taskId);
    await search(cutOff);
    expect((await runner.next()).run).toMatchObject({ taskId, attempt: 2 });
  });

  it('does not hold on to a task whose claim was carried out and not answered', async () => {
    const runner = new ScriptedRunner(true, true);
    const replica = await replicas.start('host:1', { runner });
    const requestData = { instruction: 'q' };
    await replicas.createLost({ taskId: 'lost', requestData, maxAttempts: 3 }, 'host:9#boot');
    replica.loseAnswers('claimExpired');
    await search(replica);
    expect((await replicas.task('lost')).attempt).toBe(2);
    await submitTo(replica);
    await runner.next();
    const { leaseExpiresAt } = await replicas.task('lost');
    await renew(replica);
    expect((await replicas.task('lost')).leaseExpiresAt).toEqual(leaseExpiresAt);
    await replicas.expireLease('lost');
    await search(replica);
    expect((await runner.next()).run).toMatchObject({ taskId: 'lost', attempt: 3 });
  });
});
