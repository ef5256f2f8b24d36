import { randomBytes } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { statusOf } from '../support/agent-clients.js';
import { startAgentService } from '../support/agent-service.js';
import { describeAgentService } from '../support/agent-suite.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

const KEYS = `old:${randomBytes(32).toString('base64')}`;
const OTHER_KEYS = `new:${randomBytes(32).toString('base64')}`;

const commonConfig = {
  authorizationInfo: { orgID: 'org-1', apiKey: 'secret-of-the-organisation' },
  stageModelConfig: { groundingModel: { modelName: 'ground', apiKey: 'secret-of-the-model' } },
};

describeAgentService(
  'API keys of the global configuration, with encryption keys,',
  (suite) => {
    async function onReplica(encryptionKeys: string | undefined, runner = new ScriptedRunner()) {
      return startAgentService(suite.storage, runner, {
        encryptionKeys,
        allowSetGlobalConfig: true,
        maxTasks: 100,
      });
    }

    it('reach the runner of another replica, and lie nowhere in clear', async () => {
      await suite.service.agent.call('SetGlobalCommonConfig', { commonConfig });
      const setting = await suite.storage.settings.getSetting('global_common_config');
      expect(JSON.stringify(setting)).not.toContain('secret-of');
      const runner = new ScriptedRunner();
      const other = await onReplica(`${OTHER_KEYS},${KEYS}`, runner);
      await other.agent.call('RunAgentInstructionAsync', { instruction: 'add 2 and 2' });
      expect((await runner.next()).run.request['runningConfig']).toMatchObject(commonConfig);
      expect(await other.agent.call('GetGlobalCommonConfig')).toMatchObject({
        authorizationInfo: { apiKey: '********' },
      });
      expect(suite.service.logger.messages('warn')).toEqual([]);
      await other.close();
    });

    it('are forgotten everywhere when they are taken away', async () => {
      await suite.service.agent.call('SetGlobalCommonConfig', { commonConfig });
      const other = await onReplica(KEYS);
      await other.agent.call('SetGlobalCommonConfig', { commonConfig: { steps: 3 } });
      const masked = { authorizationInfo: { orgID: 'org-1', apiKey: '********' } };
      await suite.submit({ runningConfig: masked });
      const { run } = await suite.runner.next();
      expect(JSON.stringify(run.request)).not.toContain('secret-of');
      await other.close();
    });

    it('are missed loudly by a replica without the key that sealed them', async () => {
      await suite.service.agent.call('SetGlobalCommonConfig', { commonConfig });
      const other = await onReplica(OTHER_KEYS);
      const refused = await statusOf(
        other.agent.call('RunAgentInstructionAsync', { instruction: 'add 2 and 2' }),
      );
      expect(refused.code).toBe(status.INTERNAL);
      expect(other.logger.messages('error').join()).toContain(
        'set TASK_STORAGE_ENCRYPTION_KEYS to the keys of the other replicas',
      );
      await other.close();
    });
  },
  { encryptionKeys: KEYS, allowSetGlobalConfig: true, maxTasks: 100 },
);
