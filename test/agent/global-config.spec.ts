import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { startAgentService } from '../support/agent-service.js';
import { describeAgentService } from '../support/agent-suite.js';

const MASK = '********';

const commonConfig = {
  id: 'ignored',
  backend: 'lybic',
  mode: 'NORMAL',
  steps: 12,
  platform: 'Windows',
  taskTimeout: 77,
  authorizationInfo: { orgID: 'org-1', apiKey: 'secret-1' },
  stageModelConfig: {
    webSearchEngine: 'duck',
    groundingModel: { modelName: 'ground', provider: 'p', apiKey: 'secret-2' },
    textSpanModel: { modelName: 'span' },
  },
};

const maskedConfig = {
  ...commonConfig,
  id: 'global',
  authorizationInfo: { orgID: 'org-1', apiKey: MASK },
  stageModelConfig: {
    ...commonConfig.stageModelConfig,
    groundingModel: { modelName: 'ground', provider: 'p', apiKey: MASK },
  },
};

describeAgentService(
  'The global configuration',
  (suite) => {
    async function call(method: string, request: object = {}) {
      return suite.service.agent.call(method, request);
    }

    async function effectiveConfig(runningConfig?: object) {
      await suite.submit(runningConfig === undefined ? {} : { runningConfig });
      const { run } = await suite.runner.next();
      return run.request['runningConfig'];
    }

    it('has its id even before it was ever set', async () => {
      expect((await call('GetGlobalCommonConfig')).id).toBe('global');
      expect((await call('GetCommonConfig', { id: 'global' })).id).toBe('global');
    });

    it('is stored and answered with its keys masked, and with its keys reaches runners', async () => {
      expect(await call('SetGlobalCommonConfig', { commonConfig })).toEqual({
        success: true,
        id: 'global',
      });
      expect(await call('GetGlobalCommonConfig')).toMatchObject(maskedConfig);
      expect(await call('GetCommonConfig', { id: 'global' })).toMatchObject(maskedConfig);
      const setting = await suite.storage.settings.getSetting('global_common_config');
      expect(setting?.value).toEqual(maskedConfig);
      const { id: _ignored, ...effective } = commonConfig;
      expect(await effectiveConfig()).toEqual(effective);
      expect(suite.service.logger.messages('warn').join()).toContain('do not survive a restart');
      expect(JSON.stringify(suite.service.logger.lines)).not.toContain('secret-');
    });

    it('holds where the request says nothing, without mixing access to two providers', async () => {
      await call('SetGlobalCommonConfig', { commonConfig });
      const own = {
        steps: 3,
        authorizationInfo: { orgID: 'org-2', apiEndpoint: 'https://elsewhere' },
        stageModelConfig: { groundingModel: { modelName: 'mine', apiEndpoint: 'https://mine' } },
      };
      expect(await effectiveConfig(own)).toEqual({
        backend: 'lybic',
        mode: 'NORMAL',
        steps: 3,
        platform: 'Windows',
        taskTimeout: 77,
        authorizationInfo: own.authorizationInfo,
        stageModelConfig: {
          webSearchEngine: 'duck',
          groundingModel: own.stageModelConfig.groundingModel,
          textSpanModel: { modelName: 'span' },
        },
      });
    });

    it('gives the number of steps to tasks that say none above 0', async () => {
      await call('SetGlobalCommonConfig', { commonConfig: { steps: 12 } });
      const taskId = await suite.submit({ runningConfig: { steps: 0 } });
      expect((await suite.storage.getTask(taskId))?.maxSteps).toBe(12);
    });

    it('takes one model at a time', async () => {
      await call('SetGlobalCommonConfig', { commonConfig });
      const models = [
        ['SetGlobalCommonLLMConfig', 'actionGeneratorModel'],
        ['SetGlobalGroundingLLMConfig', 'groundingModel'],
        ['SetGlobalEmbeddingLLMConfig', 'embeddingModel'],
      ] as const;
      for (const [method, stage] of models) {
        const answer = await call(method, { llmConfig: { modelName: stage, apiKey: 'secret-3' } });
        expect(answer).toMatchObject({ modelName: stage, apiKey: MASK });
      }
      const config = await call('GetGlobalCommonConfig');
      for (const [, stage] of models) {
        expect(config.stageModelConfig[stage]).toMatchObject({ modelName: stage, apiKey: MASK });
      }
      expect(config).toMatchObject({
        backend: 'lybic',
        stageModelConfig: { webSearchEngine: 'duck' },
      });
      expect(await effectiveConfig()).toMatchObject({
        authorizationInfo: { apiKey: 'secret-1' },
        stageModelConfig: { groundingModel: { modelName: 'groundingModel', apiKey: 'secret-3' } },
      });
    });

    it('takes no endpoint with credentials, which it could not keep', async () => {
      const apiEndpoint = 'https://user:pass-word@host';
      const calls = [
        [
          'SetGlobalCommonConfig',
          { commonConfig: { authorizationInfo: { apiEndpoint } } },
          'commonConfig.authorizationInfo.apiEndpoint carries credentials',
        ],
        [
          'SetGlobalGroundingLLMConfig',
          { llmConfig: { apiEndpoint } },
          'llmConfig.apiEndpoint carries credentials',
        ],
      ] as const;
      for (const [method, request, problem] of calls) {
        const error = await statusOf(call(method, request));
        expect(error.code).toBe(status.INVALID_ARGUMENT);
        expect(error.details).toContain(problem);
        expect(error.details).not.toContain('pass-word');
      }
    });

    it('keeps a key when a client sets what it has read', async () => {
      await call('SetGlobalCommonConfig', { commonConfig });
      const read = await call('GetGlobalCommonConfig');
      await call('SetGlobalCommonConfig', { commonConfig: { ...read, steps: 13 } });
      expect(await effectiveConfig()).toMatchObject({
        steps: 13,
        authorizationInfo: { apiKey: 'secret-1' },
        stageModelConfig: { groundingModel: { apiKey: 'secret-2' } },
      });
    });

    it('keeps the credentials of an endpoint that were stored before it refused them', async () => {
      const apiEndpoint = 'https://user:pass-word@host/v1';
      const stageModelConfig = { groundingModel: { modelName: 'm', apiEndpoint } };
      const { settings } = suite.storage;
      const version = (await settings.getSetting('global_common_config'))?.version ?? 0;
      await settings.putSetting('global_common_config', { stageModelConfig }, version);
      const read = await call('GetGlobalCommonConfig');
      const shown = read.stageModelConfig.groundingModel;
      expect(shown).toMatchObject({ apiEndpoint: `https://${MASK}@host/v1` });
      await call('SetGlobalCommonConfig', { commonConfig: read });
      await call('SetGlobalGroundingLLMConfig', { llmConfig: shown });
      await call('SetGlobalEmbeddingLLMConfig', { llmConfig: { modelName: 'e' } });
      expect(await effectiveConfig()).toMatchObject({ stageModelConfig });
    });

    it('takes no mask of an endpoint for another one', async () => {
      for (const apiEndpoint of [`https://${MASK}@host`, `https://host/?key=${MASK}`]) {
        const error = await statusOf(
          call('SetGlobalGroundingLLMConfig', { llmConfig: { apiEndpoint } }),
        );
        expect(error.details).toContain('llmConfig.apiEndpoint carries credentials or their masks');
      }
    });

    it('takes an endpoint with parameters that only look like secrets', async () => {
      const apiEndpoint = 'https://host/v1?max_tokens=4096&author=bob&monkey=2&design=x';
      await call('SetGlobalGroundingLLMConfig', { llmConfig: { apiEndpoint } });
      expect(await effectiveConfig()).toMatchObject({
        stageModelConfig: { groundingModel: { apiEndpoint } },
      });
    });

    it('sends no key to another account than it was set for', async () => {
      await call('SetGlobalCommonConfig', { commonConfig });
      const stageModelConfig = {
        groundingModel: { modelName: 'ground', apiKey: MASK, apiEndpoint: 'https://elsewhere' },
      };
      await call('SetGlobalCommonConfig', { commonConfig: { stageModelConfig } });
      expect(await effectiveConfig()).toEqual({
        stageModelConfig: {
          groundingModel: { modelName: 'ground', apiEndpoint: 'https://elsewhere' },
        },
      });
    });

    it('gives a mask to no runner, not from a request either', async () => {
      await call('SetGlobalCommonConfig', { commonConfig: {} });
      const authorizationInfo = { orgID: 'org-1', apiKey: MASK };
      expect(await effectiveConfig({ authorizationInfo })).toEqual({
        authorizationInfo: { orgID: 'org-1' },
      });
    });

    it('keeps its keys in a request of a client that sends back what it has read', async () => {
      await call('SetGlobalCommonConfig', { commonConfig });
      const read = await call('GetGlobalCommonConfig');
      expect(await effectiveConfig({ ...read, steps: 13 })).toMatchObject({
        steps: 13,
        authorizationInfo: { orgID: 'org-1', apiKey: 'secret-1' },
        stageModelConfig: { groundingModel: { modelName: 'ground', apiKey: 'secret-2' } },
      });
    });

    it('sends no key to another account than it was set for, for a mask in a request either', async () => {
      await call('SetGlobalCommonConfig', { commonConfig });
      const authorizationInfo = { orgID: 'org-1', apiKey: MASK, apiEndpoint: 'https://elsewhere' };
      expect(await effectiveConfig({ authorizationInfo })).toMatchObject({
        authorizationInfo: { orgID: 'org-1', apiEndpoint: 'https://elsewhere' },
      });
      expect(JSON.stringify(await effectiveConfig({ authorizationInfo }))).not.toContain(
        'secret-1',
      );
    });

    it('gives the masked configuration of a task to no runner', async () => {
      await call('SetGlobalCommonConfig', { commonConfig: {} });
      const authorizationInfo = { orgID: 'org-1', apiKey: 'secret-4' };
      const taskId = await suite.submit({ runningConfig: { authorizationInfo, steps: 3 } });
      await suite.runner.next();
      const read = await call('GetCommonConfig', { id: taskId });
      expect(read).toMatchObject({ authorizationInfo: { orgID: MASK, apiKey: MASK } });
      expect(JSON.stringify(await effectiveConfig(read))).not.toContain('*');
      await call('SetGlobalCommonConfig', { commonConfig: read });
      expect(JSON.stringify(await effectiveConfig())).not.toContain('*');
    });

    it('is shared with another process, which lacks the keys', async () => {
      await call('SetGlobalCommonConfig', { commonConfig });
      const other = await startAgentService(suite.storage, suite.runner);
      expect(await other.agent.call('GetGlobalCommonConfig')).toMatchObject(maskedConfig);
      await other.agent.call('RunAgentInstructionAsync', { instruction: 'run' });
      const { run } = await suite.runner.next();
      expect(run.request['runningConfig']).toMatchObject({
        steps: 12,
        authorizationInfo: { orgID: 'org-1' },
      });
      expect(JSON.stringify(run.request)).not.toMatch(/apiKey|\*/);
      await other.close();
    });

    it('loses none of many simultaneous changes', async () => {
      await call('SetGlobalCommonConfig', { commonConfig: {} });
      const llmConfig = { modelName: 'model' };
      await Promise.all([
        call('SetGlobalCommonLLMConfig', { llmConfig }),
        call('SetGlobalGroundingLLMConfig', { llmConfig }),
        call('SetGlobalEmbeddingLLMConfig', { llmConfig }),
      ]);
      const setting = await suite.storage.settings.getSetting('global_common_config');
      expect(setting?.value).toEqual({
        id: 'global',
        stageModelConfig: {
          actionGeneratorModel: llmConfig,
          groundingModel: llmConfig,
          embeddingModel: llmConfig,
        },
      });
    });

    it('is read-only unless the service allows calls to set it', async () => {
      const closed = await startAgentService(suite.storage, null);
      const setters = [
        ['SetGlobalCommonConfig', { commonConfig }],
        ['SetGlobalCommonLLMConfig', { llmConfig: {} }],
        ['SetGlobalGroundingLLMConfig', { llmConfig: {} }],
        ['SetGlobalEmbeddingLLMConfig', { llmConfig: {} }],
      ] as const;
      for (const [method, request] of setters) {
        const error = await statusOf(closed.agent.call(method, request));
        expect(error.code).toBe(status.PERMISSION_DENIED);
        expect(error.details).toContain('ALLOW_SET_GLOBAL_CONFIG=1');
        expect(errorInfoOf(error).reason).toBe('CONFIG_READ_ONLY');
      }
      await closed.close();
    });

    it('refuses a setter that sets nothing', async () => {
      for (const [method, field] of [
        ['SetGlobalCommonConfig', 'commonConfig'],
        ['SetGlobalEmbeddingLLMConfig', 'llmConfig'],
      ] as const) {
        const error = await statusOf(call(method));
        expect(error.code).toBe(status.INVALID_ARGUMENT);
        expect(error.details).toBe(`${field} is missing`);
      }
    });

    it('is told apart from the configuration of a task', async () => {
      const taskId = await suite.submit({ runningConfig: { id: 'mine', steps: 4 } });
      expect(await call('GetCommonConfig', { id: taskId })).toMatchObject({ id: 'mine', steps: 4 });
      const without = await suite.submit();
      const answer = await call('GetCommonConfig', { id: without });
      expect(answer).toMatchObject({ id: without });
      expect(answer).not.toHaveProperty('steps');
      for (const id of ['no-such-task', '']) {
        const error = await statusOf(call('GetCommonConfig', { id }));
        expect(error.code).toBe(status.NOT_FOUND);
      }
    });
  },
  { maxTasks: 1_000, allowSetGlobalConfig: true },
);
