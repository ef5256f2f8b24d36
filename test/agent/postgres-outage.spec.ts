import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPostgresTaskStorage } from '../../src/storage/typeorm/index.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { statusOf } from '../support/agent-clients.js';
import { startAgentService, type AgentService } from '../support/agent-service.js';
import { ScriptedRunner } from '../support/scripted-runner.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

describe('Running tasks while the line to Postgres breaks', () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let storage: TaskStorage;
  let service: AgentService;
  const runner = new ScriptedRunner();

  beforeAll(async () => {
    database = await createTestDatabase();
    const url = new URL(database.connectionString);
    proxy = await startTcpProxy(Number(url.port));
    url.port = String(proxy.port);
    storage = await createPostgresTaskStorage({ connectionString: url.href });
    service = await startAgentService(storage, runner);
  });

  afterAll(async () => {
    await service.stop();
    await service.close();
    await storage.close();
    await proxy.close();
    await database.drop();
  });

  it('loses and repeats no stage', async () => {
    const stream = service.agent.stream('RunAgentInstruction', { instruction: 'run' });
    const run = await runner.next();
    const reported: string[] = [];
    const report = async (stage: string): Promise<void> => {
      reported.push(stage);
      await run.report(stage);
    };
    for (let outage = 0; outage < 3; outage += 1) {
      await report(`before ${outage}`);
      proxy.cut();
      await report(`during ${outage}`);
      expect((await statusOf(service.agent.call('CancelTask', { taskId: 'other' }))).details).toBe(
        'The task storage is unavailable; try again',
      );
      await report(`still during ${outage}`);
      proxy.restore();
      await report(`after ${outage}`);
    }
    run.finish({ result: 'done' });
    const messages = await stream.ended;
    expect(messages.map(({ stage }) => stage)).toEqual(['starting', ...reported, 'finished']);
    expect(await service.agent.call('QueryTaskStatus', { taskId: run.taskId })).toMatchObject({
      status: 'SUCCESS',
      result: 'done',
    });
  });
});
