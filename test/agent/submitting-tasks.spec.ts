import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { startAgentService } from '../support/agent-service.js';
import { describeAgentService } from '../support/agent-suite.js';

const MASK = '********';

describeAgentService(
  'Submitting tasks',
  (suite) => {
    it('refuses an empty instruction, unary and streaming', async () => {
      for (const instruction of ['', '  \n']) {
        const unary = await statusOf(
          suite.service.agent.call('RunAgentInstructionAsync', { instruction }),
        );
        const streaming = await statusOf(
          suite.service.agent.stream('RunAgentInstruction', { instruction }).ended,
        );
        for (const error of [unary, streaming]) {
          expect(error.code).toBe(status.INVALID_ARGUMENT);
          expect(error.details).toBe('instruction is empty; write what to do');
          expect(errorInfoOf(error)).toMatchObject({
            reason: 'INVALID',
            metadata: { field: 'instruction' },
          });
        }
      }
      expect(await suite.storage.countActiveTasks()).toBe(0);
    });

    it('names the field that no task can hold', async () => {
      const requests = [
        [{ instruction: 'a\0b' }, 'instruction'],
        [{ sandbox: { name: 'a\0b' } }, 'sandbox.name'],
        [{ sandbox: { os: 17 } }, 'sandbox.os'],
        [{ runningConfig: { mode: 9 } }, 'runningConfig.mode'],
        [
          { runningConfig: { stageModelConfig: { groundingModel: { provider: '\0' } } } },
          'runningConfig.stageModelConfig.groundingModel.provider',
        ],
      ] as const;
      for (const [request, field] of requests) {
        const error = await statusOf(suite.submit(request));
        expect(error.code).toBe(status.INVALID_ARGUMENT);
        expect(error.details).toContain(`${field} `);
        expect(errorInfoOf(error).metadata).toEqual({ field });
      }
    });

    it('refuses a task above the limit, naming it, and takes one again when another has ended', async () => {
      const first = await suite.submit();
      await suite.submit();
      const unary = await statusOf(suite.submit());
      const streaming = await statusOf(
        suite.service.agent.stream('RunAgentInstruction', { instruction: 'one more' }).ended,
      );
      for (const error of [unary, streaming]) {
        expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
        expect(error.details).toContain('limit of 2 active tasks (TASK_MAX_TASKS)');
        expect(errorInfoOf(error).reason).toBe('LIMIT_REACHED');
      }
      (await suite.runner.next()).finish();
      await suite.ended(first);
      await suite.submit();
    });

    it('admits exactly as many tasks as the limit when many are submitted at once', async () => {
      const answers = await Promise.allSettled(
        Array.from({ length: 10 }, async () => suite.submit()),
      );
      expect(answers.filter(({ status: outcome }) => outcome === 'fulfilled')).toHaveLength(2);
    });

    it('takes the number of steps from the request, then from the default', async () => {
      const first = await suite.submit({ runningConfig: { steps: 7 } });
      expect((await suite.runner.next()).run.maxSteps).toBe(7);
      const second = await suite.submit({ runningConfig: { steps: 0 } });
      expect((await suite.runner.next()).run.maxSteps).toBe(50);
      expect((await suite.storage.getTask(first))?.maxSteps).toBe(7);
      expect((await suite.storage.getTask(second))?.maxSteps).toBe(50);
    });

    it('stores the request without its secrets and gives them to the runner', async () => {
      const request = {
        instruction: 'open the calculator',
        sandbox: {
          id: 'box-1',
          os: 'LINUX',
          shapeName: 'small',
          hardwareAcceleratedEncoding: true,
        },
        destroySandbox: false,
        runningConfig: {
          id: 'mine',
          mode: 'FAST',
          steps: 3,
          authorizationInfo: { orgID: 'org-1', apiKey: 'secret-1', apiEndpoint: 'https://a' },
          stageModelConfig: {
            webSearchEngine: 'duck',
            groundingModel: { modelName: 'm', apiKey: 'secret-2' },
          },
        },
      };
      const taskId = await suite.submit(request);
      const { run } = await suite.runner.next();
      expect(run.request).toEqual(request);
      expect(run.instruction).toBe('open the calculator');
      const task = await suite.storage.getTask(taskId);
      expect(task?.requestData).toEqual({
        ...request,
        runningConfig: {
          ...request.runningConfig,
          authorizationInfo: { orgID: MASK, apiKey: MASK, apiEndpoint: 'https://a' },
          stageModelConfig: {
            webSearchEngine: 'duck',
            groundingModel: { modelName: 'm', apiKey: MASK },
          },
        },
      });
      expect(task?.sandboxInfo).toEqual({ id: 'box-1', os: 2, shape_name: 'small' });
      expect(JSON.stringify(task)).not.toContain('secret-');
      expect(await suite.service.agent.call('GetCommonConfig', { id: taskId })).toMatchObject({
        id: 'mine',
        mode: 'FAST',
        steps: 3,
        authorizationInfo: { apiKey: MASK, apiEndpoint: 'https://a' },
        stageModelConfig: { groundingModel: { modelName: 'm', apiKey: MASK } },
      });
    });

    it('continues an ended task with its conversation and its sandbox', async () => {
      const conversationHistory = { planner: [{ role: 'user', content: 'hello' }] };
      const sandboxInfo = { id: 'box-1', os: 1, shape_name: 'large' };
      const previousTaskId = await suite.runToEnd({ conversationHistory, sandboxInfo });
      const taskId = await suite.submit({ previousTaskId, sandbox: { id: 'box-1' } });
      expect((await suite.runner.next()).run.previous).toEqual({
        taskId: previousTaskId,
        conversationHistory,
        sandboxInfo,
      });
      expect((await suite.storage.getTask(taskId))?.sandboxInfo).toMatchObject({ id: 'box-1' });
      await suite.service.agent.call('CancelTask', { taskId });
      const inherited = await suite.submit({ previousTaskId });
      expect((await suite.storage.getTask(inherited))?.sandboxInfo).toEqual(sandboxInfo);
    });

    it('refuses to continue a task that does not exist, has not ended, or had another sandbox', async () => {
      for (const previousTaskId of ['a\0b', 'x'.repeat(256)]) {
        const impossible = await statusOf(suite.submit({ previousTaskId }));
        expect(impossible.code).toBe(status.NOT_FOUND);
      }
      const unknown = await statusOf(suite.submit({ previousTaskId: 'no-such-task' }));
      expect(unknown.code).toBe(status.NOT_FOUND);
      const active = await suite.submit();
      const notEnded = await statusOf(suite.submit({ previousTaskId: active }));
      expect(notEnded.code).toBe(status.FAILED_PRECONDITION);
      expect(errorInfoOf(notEnded).reason).toBe('TASK_NOT_ENDED');
      const sandboxInfo = { id: 'box-1', os: 1, shape_name: '' };
      (await suite.runner.next()).finish({ sandboxInfo });
      await suite.ended(active);
      const otherSandbox = await statusOf(
        suite.submit({ previousTaskId: active, sandbox: { id: 'box-2' } }),
      );
      expect(otherSandbox.code).toBe(status.INVALID_ARGUMENT);
      expect(errorInfoOf(otherSandbox).metadata).toEqual({ field: 'sandbox.id' });
    });

    it('runs no task without a runner, and says what to set', async () => {
      const idle = await startAgentService(suite.storage, null);
      const request = { instruction: 'open the calculator' };
      const unary = await statusOf(idle.agent.call('RunAgentInstructionAsync', request));
      const streaming = await statusOf(idle.agent.stream('RunAgentInstruction', request).ended);
      for (const error of [unary, streaming]) {
        expect(error.code).toBe(status.FAILED_PRECONDITION);
        expect(error.details).toContain('set AGENT_COMMAND');
        expect(errorInfoOf(error).reason).toBe('NO_RUNNER');
      }
      expect(await idle.agent.call('QueryTaskStatus', { taskId: 'x' })).toMatchObject({
        status: 'NOT_FOUND',
      });
      await idle.close();
    });
  },
  { maxTasks: 2 },
);
