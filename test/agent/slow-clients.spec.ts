import { expect, it } from '@jest/globals';
import { startAgentService } from '../support/agent-service.js';
import { describeAgentService } from '../support/agent-suite.js';
import { interceptStorage } from '../support/intercepted-storage.js';

const EVENT_COUNT = 3_000;
const MESSAGE = 'x'.repeat(10_000);

describeAgentService('A client that does not read', (suite) => {
  it('is sent no more than fits on the way, and everything when it reads again', async () => {
    await suite.storage.createTask({ taskId: 'long', query: 'q', maxSteps: 1, status: 'running' });
    for (let added = 0; added < EVENT_COUNT; added += 1_000) {
      await suite.storage.appendEvents(
        'long',
        Array.from({ length: 1_000 }, (_, index) => ({
          stage: String(added + index),
          message: MESSAGE,
        })),
      );
    }
    await suite.storage.updateTask(
      'long',
      { status: 'finished' },
      { events: [{ stage: 'finished', message: '' }] },
    );
    const counted = interceptStorage(suite.storage);
    let pages = 0;
    counted.intercept(async () => {
      pages += 1;
    });
    const service = await startAgentService(counted.storage, null);
    const slow = service.agent.stream('GetAgentTaskStream', { taskId: 'long' });
    await slow.next();
    slow.call.pause();
    pages = 0;
    const fast = await service.tasks.stream('WatchTask', { task_id: 'long' }).ended;
    expect(fast).toHaveLength(EVENT_COUNT + 1);
    const pagesOfFast = EVENT_COUNT / 20 + 1;
    expect(pages).toBeLessThan(pagesOfFast + 10);
    slow.call.resume();
    const messages = await slow.ended;
    expect(messages.map(({ taskStream }) => taskStream.stage)).toEqual(
      fast.map(({ stage }) => stage),
    );
    await service.stop();
    await service.close();
  });
});
