import { expect, it } from '@jest/globals';
import { ServiceClient, statusOf } from '../support/agent-clients.js';
import { startAgentService } from '../support/agent-service.js';
import { describeAgentService } from '../support/agent-suite.js';
import { eventually } from '../support/eventually.js';
import { ManualChanges, withChanges } from '../support/manual-changes.js';
import { ManualClock } from '../support/manual-clock.js';
import { ScriptedRunner } from '../support/scripted-runner.js';
import { startTcpProxy } from '../support/tcp-proxy.js';

/** A sixth of the lease. */
const RENEWAL_MS = 5_000;

describeAgentService(
  'Cancelling tasks',
  (suite) => {
    it('cancels a task and aborts its runner, whatever the runner still reports', async () => {
      const taskId = await suite.submit();
      const run = await suite.runner.next();
      await run.report('one');
      const stream = suite.service.agent.stream('GetAgentTaskStream', { taskId });
      const answer = await suite.service.agent.call('CancelTask', { taskId });
      expect(answer).toEqual({ taskId, success: true, message: `Task ${taskId} was cancelled.` });
      await run.aborted;
      await run.report('two');
      await run.run.saveProgress({ executionStatistics: { steps: 99 } });
      run.finish({ result: 'too late' });
      const messages = await stream.ended;
      expect(messages.map(({ taskStream }) => taskStream.stage)).toEqual([
        'starting',
        'one',
        'cancelled',
      ]);
      expect(await suite.service.agent.call('QueryTaskStatus', { taskId })).toMatchObject({
        status: 'CANCELLED',
        message: 'Task was cancelled by user request.',
        result: '',
      });
      expect(await suite.storage.getTask(taskId)).toMatchObject({
        executionStatistics: null,
        result: null,
      });
    });

    it('tells what kept a task from being cancelled', async () => {
      const finished = await suite.runToEnd();
      expect(await suite.service.agent.call('CancelTask', { taskId: finished })).toEqual({
        taskId: finished,
        success: false,
        message: `Task ${finished} has already finished.`,
      });
      const failed = await suite.submit();
      (await suite.runner.next()).fail(new Error('no'));
      await suite.ended(failed);
      expect(await suite.service.agent.call('CancelTask', { taskId: failed })).toEqual({
        taskId: failed,
        success: false,
        message: `Task ${failed} has already failed.`,
      });
      const cancelled = await suite.submit();
      await suite.service.agent.call('CancelTask', { taskId: cancelled });
      expect(await suite.service.agent.call('CancelTask', { taskId: cancelled })).toEqual({
        taskId: cancelled,
        success: true,
        message: `Task ${cancelled} was already cancelled.`,
      });
    });

    it('cancels the task when the client of RunAgentInstruction cancels its call', async () => {
      const stream = suite.service.agent.stream('RunAgentInstruction', { instruction: 'run on' });
      const run = await suite.runner.next();
      await stream.next();
      stream.call.cancel();
      await run.aborted;
      const task = await eventually(
        async () => suite.storage.getTask(run.taskId),
        (found) => found?.status !== 'running',
      );
      expect(task?.status).toBe('cancelled');
    });

    it('cancels the task when the client of RunAgentInstruction vanishes', async () => {
      const proxy = await startTcpProxy(Number(suite.service.address.split(':')[1]));
      const client = new ServiceClient('lybic.agent.Agent', `127.0.0.1:${proxy.port}`);
      const stream = client.stream('RunAgentInstruction', { instruction: 'run on' });
      const run = await suite.runner.next();
      await stream.next();
      proxy.cut();
      await run.aborted;
      await statusOf(stream.ended);
      client.close();
      await proxy.close();
    });

    it('follows and cancels a task that another process runs', async () => {
      const other = await startAgentService(suite.storage, null, { instanceId: 'other' });
      const taskId = await suite.submit();
      const run = await suite.runner.next();
      const stream = other.agent.stream('GetAgentTaskStream', { taskId });
      await stream.next();
      await run.report('one');
      expect((await stream.next()).taskStream).toMatchObject({ stage: 'one' });
      expect(await other.agent.call('CancelTask', { taskId })).toMatchObject({ success: true });
      await run.report('two');
      await run.aborted;
      const messages = await stream.ended;
      expect(messages.at(-1)?.taskStream).toMatchObject({ stage: 'cancelled' });
      expect((await suite.storage.getTask(taskId))?.status).toBe('cancelled');
      await other.close();
    });

    it.each([
      ['at once, by a hint', false],
      ['at the next renewal of its lease', true],
    ])(
      'aborts a silent runner whose task somebody else has ended or deleted, %s',
      async (_when, isSilent) => {
        const clock = new ManualClock();
        const runner = new ScriptedRunner();
        const changes = new ManualChanges();
        const storage = withChanges(suite.storage, changes);
        changes.isSilent = isSilent;
        const service = await startAgentService(storage, runner, { clock });
        const submit = async () => {
          await service.agent.call('RunAgentInstructionAsync', { instruction: 'run on' });
          return runner.next();
        };
        const cancelled = await submit();
        await suite.service.agent.call('CancelTask', { taskId: cancelled.taskId });
        await clock.advance(isSilent ? RENEWAL_MS : 0);
        await cancelled.aborted;
        const deleted = await submit();
        await suite.storage.deleteTask(deleted.taskId);
        await clock.advance(isSilent ? RENEWAL_MS : 0);
        await deleted.aborted;
        await service.stop();
        await service.close();
      },
    );
  },
  { maxTasks: 2 },
);
