import { expect, it } from '@jest/globals';
import { ACME, describeSecuredService, RIVAL } from '../support/secured-suite.js';

describeSecuredService('tenants of tokens', (suite) => {
  it('a first look', async () => {
    const taskId = await suite.submit(ACME);
    expect(await suite.service.agent.call('QueryTaskStatus', { taskId }, ACME)).toMatchObject({
      status: 'RUNNING',
    });
    expect(await suite.service.agent.call('QueryTaskStatus', { taskId }, RIVAL)).toMatchObject({
      status: 'NOT_FOUND',
    });
    await expect(suite.service.agent.call('QueryTaskStatus', { taskId })).rejects.toMatchObject({
      code: 16,
    });
  });
});
