import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { describeAgentService } from '../support/agent-suite.js';

const LIMITS = {
  maxInstructionBytes: 100,
  maxFieldBytes: 1_024,
  maxStages: 4,
  maxStageBytes: 1_024,
  allowSetGlobalConfig: true,
};

describeAgentService(
  'A service with limits',
  (suite) => {
    it('refuses an instruction that has more bytes than it may', async () => {
      await suite.runToEnd({}, { instruction: 'ü'.repeat(50) });
      const refused = await statusOf(suite.submit({ instruction: 'ü'.repeat(51) }));
      expect(refused.code).toBe(status.INVALID_ARGUMENT);
      expect(refused.details).toBe(
        'instruction has 102 bytes; it may have 100 (TASK_MAX_INSTRUCTION_BYTES)',
      );
      expect(errorInfoOf(refused).metadata).toEqual({ field: 'instruction' });
    });

    it('refuses a request that would take more than a field may', async () => {
      const refused = await statusOf(suite.submit({ sandbox: { name: 'x'.repeat(1_024) } }));
      expect(refused.code).toBe(status.INVALID_ARGUMENT);
      expect(refused.details).toMatch(
        /^request has \d{4} bytes as JSON; a field may have 1024 \(TASK_MAX_FIELD_BYTES\)$/,
      );
      expect(await suite.storage.countActiveTasks()).toBe(0);
    });

    it.each([
      ['SetGlobalCommonConfig', 'commonConfig', { platform: 'x'.repeat(262_144) }],
      ['SetGlobalCommonLLMConfig', 'llmConfig', { modelName: 'x'.repeat(262_144) }],
    ])(
      'refuses what would make the global configuration too large, by %s',
      async (rpc, field, value) => {
        const before = await suite.service.agent.call('GetGlobalCommonConfig');
        const refused = await statusOf(suite.service.agent.call(rpc, { [field]: value }));
        expect(refused.code).toBe(status.INVALID_ARGUMENT);
        expect(refused.details).toMatch(/ 2\d{5} bytes as JSON; it may take 262144$/);
        expect(errorInfoOf(refused).metadata).toEqual({ field });
        expect(await suite.service.agent.call('GetGlobalCommonConfig')).toEqual(before);
      },
    );

    it('stores so many stages, says that there were more, and goes on', async () => {
      const taskId = await suite.submit();
      const run = await suite.runner.next();
      for (let stage = 1; stage <= 6; stage += 1) {
        await run.report(`stage ${stage}`);
      }
      run.finish({ result: 'the answer' });
      const messages = await suite.service.tasks.stream('WatchTask', { task_id: taskId }).ended;
      expect(messages.map(({ stage }) => stage)).toEqual([
        'starting',
        'stage 1',
        'stage 2',
        'stage 3',
        'limit',
        'finished',
      ]);
      expect(messages[4]?.message).toBe(
        'The task has reached its limit of 4 stages (TASK_MAX_STAGES); further ones are not stored.',
      );
      expect(await suite.service.agent.call('QueryTaskStatus', { taskId })).toMatchObject({
        status: 'SUCCESS',
        result: 'the answer',
      });
    });

    it('cuts the message of a stage and an error, with a mark', async () => {
      const failing = await suite.submit();
      const run = await suite.runner.next();
      await run.report('long', 'x'.repeat(2_000));
      run.fail(new Error('y'.repeat(2_000)));
      const stages = await suite.service.tasks.stream('WatchTask', { task_id: failing }).ended;
      expect(stages[1]?.message).toBe(`${'x'.repeat(1_024)}… (cut)`);
      expect(stages[2]?.message).toBe(`${'y'.repeat(1_024)}… (cut)`);
    });

    it('keeps what was saved before when progress is too large, and logs it', async () => {
      const taskId = await suite.submit();
      const { run, finish } = await suite.runner.next();
      await run.saveProgress({ conversationHistory: { tool: ['first'] } });
      await run.saveProgress({ conversationHistory: { tool: ['x'.repeat(1_024)] } });
      finish({ executionStatistics: { steps: 1, note: 'x'.repeat(1_024) } });
      await suite.ended(taskId);
      expect(await suite.storage.getTask(taskId)).toMatchObject({
        status: 'finished',
        conversationHistory: { tool: ['first'] },
        executionStatistics: null,
      });
      const warnings = suite.service.logger.messages('warn').join('\n');
      expect(warnings).toMatch(
        /conversationHistory has \d{4} bytes as JSON; a field may have 1024/,
      );
      expect(warnings).toMatch(/executionStatistics has \d{4} bytes as JSON/);
    });

    it('can cancel a runner that never stops reporting', async () => {
      const taskId = await suite.submit();
      const { run, finish } = await suite.runner.next();
      const reporting = (async () => {
        while (!run.signal.aborted) {
          await run.reportStage('again', 'and again');
        }
        finish();
      })();
      const { success } = Object(await suite.service.agent.call('CancelTask', { taskId }));
      expect(success).toBe(true);
      await reporting;
    });
  },
  LIMITS,
);
