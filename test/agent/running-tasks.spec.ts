import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { errorInfoOf, statusOf, type Message } from '../support/agent-clients.js';
import { describeAgentService } from '../support/agent-suite.js';
import { eventually } from '../support/eventually.js';

function stagesOf(messages: readonly Message[]): string[] {
  return messages.map((message) => message.stage);
}

describeAgentService(
  'Running tasks',
  (suite) => {
    it('streams the stages of a task from starting to finished', async () => {
      const stream = suite.service.agent.stream('RunAgentInstruction', {
        instruction: 'add 1 and 2',
      });
      const run = await suite.runner.next();
      await run.report('planning', 'thinking');
      await run.report('acting', 'typing');
      run.finish({ result: '3' });
      const messages = await stream.ended;
      expect(stagesOf(messages)).toEqual(['starting', 'planning', 'acting', 'finished']);
      expect(messages.map(({ message }) => message)).toEqual([
        'Task is starting.',
        'thinking',
        'typing',
        'Task finished with status: completed',
      ]);
      expect(new Set(messages.map(({ taskId }) => taskId))).toEqual(new Set([run.taskId]));
      for (const { timestamp } of messages) {
        expect(Math.abs(Number(timestamp.seconds) - Date.now() / 1000)).toBeLessThan(600);
      }
    });

    it('answers the id of an asynchronous task before the task has ended', async () => {
      const taskId = await suite.submit();
      const run = await suite.runner.next();
      expect(run.taskId).toBe(taskId);
      expect(await suite.service.agent.call('QueryTaskStatus', { taskId })).toMatchObject({
        taskId,
        status: 'RUNNING',
        message: 'Task is running.',
        result: '',
      });
      run.finish();
      await suite.ended(taskId);
    });

    it('tells the status, the result, the sandbox and the statistics of a finished task', async () => {
      const taskId = await suite.runToEnd({
        finalState: 'well done',
        result: 'the answer',
        sandboxInfo: { id: 'box-1', os: 2, shape_name: 'small' },
        executionStatistics: {
          steps: 3,
          duration_seconds: 4,
          input_tokens: '9007199254740993',
          output_tokens: 6,
          total_tokens: 7,
          cost: 0.25,
          currency_symbol: '$',
        },
      });
      expect(await suite.service.agent.call('QueryTaskStatus', { taskId })).toMatchObject({
        taskId,
        status: 'SUCCESS',
        message: 'Task finished with status: well done',
        result: 'the answer',
        sandbox: { id: 'box-1', os: 'LINUX', shapeName: 'small' },
        executionStatistics: {
          steps: 3,
          durationSeconds: 4,
          inputTokens: '9007199254740993',
          outputTokens: '6',
          totalTokens: '7',
          cost: 0.25,
          currencySymbol: '$',
        },
      });
    });

    it('leaves out a sandbox and statistics that are not known', async () => {
      const taskId = await suite.runToEnd();
      const answer = await suite.service.agent.call('QueryTaskStatus', { taskId });
      expect(Object.keys(answer).toSorted()).toEqual(['message', 'result', 'status', 'taskId']);
    });

    it('ends a task as an error with the reason that its runner gave', async () => {
      const stream = suite.service.agent.stream('RunAgentInstruction', { instruction: 'fail' });
      const run = await suite.runner.next();
      run.fail(new Error('The screen is black'));
      const messages = await stream.ended;
      expect(messages.at(-1)).toMatchObject({ stage: 'error', message: 'The screen is black' });
      expect(
        await suite.service.agent.call('QueryTaskStatus', { taskId: run.taskId }),
      ).toMatchObject({
        status: 'FAILURE',
        message: 'The screen is black',
      });
      expect(await suite.storage.getTask(run.taskId)).toMatchObject({
        status: 'error',
        finalState: 'failed',
        error: 'The screen is black',
      });
    });

    it('answers that an unknown task is not found without an error', async () => {
      for (const taskId of ['no-such-task', '', 'a\0b', 'x'.repeat(300)]) {
        expect(await suite.service.agent.call('QueryTaskStatus', { taskId })).toMatchObject({
          taskId,
          status: 'NOT_FOUND',
          message: `Task with ID ${taskId} not found.`,
        });
        expect(await suite.service.agent.call('CancelTask', { taskId })).toEqual({
          taskId,
          success: false,
          message: `Task with ID ${taskId} not found.`,
        });
      }
    });

    it('refuses to stream a task that does not exist', async () => {
      for (const taskId of ['no-such-task', 'a\0b']) {
        const error = await statusOf(
          suite.service.agent.stream('GetAgentTaskStream', { taskId }).ended,
        );
        expect(error).toMatchObject({
          code: status.NOT_FOUND,
          details: `Task with ID ${taskId} not found.`,
        });
        expect(errorInfoOf(error)).toMatchObject({
          reason: 'TASK_NOT_FOUND',
          domain: 'nestjs-task-storage',
          code: status.NOT_FOUND,
        });
      }
    });

    it('replays the past of a task to several followers, and goes on live', async () => {
      const taskId = await suite.submit();
      const run = await suite.runner.next();
      await run.report('one');
      const early = suite.service.agent.stream('GetAgentTaskStream', { taskId });
      await early.next();
      await early.next();
      const leaving = suite.service.agent.stream('GetAgentTaskStream', { taskId });
      await leaving.next();
      leaving.call.cancel();
      expect((await statusOf(leaving.ended)).code).toBe(status.CANCELLED);
      await run.report('two');
      run.finish();
      const late = suite.service.agent.stream('GetAgentTaskStream', { taskId });
      for (const stream of [early, late]) {
        const messages = await stream.ended;
        expect(messages.map(({ taskStream }) => taskStream.stage)).toEqual([
          'starting',
          'one',
          'two',
          'finished',
        ]);
      }
      expect((await suite.storage.getTask(taskId))?.status).toBe('finished');
    });

    it('lets a task go on when a client that only follows it leaves', async () => {
      const taskId = await suite.submit();
      const run = await suite.runner.next();
      const stream = suite.service.agent.stream('GetAgentTaskStream', { taskId });
      await stream.next();
      stream.call.cancel();
      await statusOf(stream.ended);
      await run.report('one');
      run.finish();
      await eventually(
        async () => suite.storage.getTask(taskId),
        (task) => task?.status === 'finished',
      );
    });

    it('tells what it is', async () => {
      const info = await suite.service.agent.call('GetAgentInfo');
      expect(info).toMatchObject({ maxConcurrentTasks: 2, log_level: 'INFO' });
      expect(info.version).toMatch(/^\d+\.\d+\.\d+/);
      expect(info.domain).not.toBe('');
    });
  },
  { maxTasks: 2 },
);
