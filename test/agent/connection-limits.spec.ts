import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { ServiceClient, statusOf } from '../support/agent-clients.js';
import { startAgentService, type AgentService } from '../support/agent-service.js';

const LIMITS = {
  maxStreams: 2,
  port: { limits: { maxMessageBytes: 2_000, maxConcurrentCalls: 7, maxConnectionIdleMs: 1_000 } },
};

describe('A connection', () => {
  let service: AgentService;

  beforeEach(async () => {
    const storage = createMemoryTaskStorage();
    await storage.createTask({ taskId: 'task', query: 'q', maxSteps: 1, status: 'running' });
    service = await startAgentService(storage, null, LIMITS);
  });
  afterEach(async () => {
    await service.stop();
    await service.close();
  });

  function openSession(): ClientHttp2Session {
    return connect(`http://${service.address}`);
  }

  it('is told how many calls it may have open', async () => {
    const session = openSession();
    await once(session, 'remoteSettings');
    expect(session.remoteSettings?.maxConcurrentStreams).toBe(7);
    session.destroy();
  });

  it('is closed when it has had no call for a while, though it pings', async () => {
    const session = openSession();
    const closed = once(session, 'close');
    await once(session, 'connect');
    const ping = () => {
      if (!session.closed && !session.destroyed) {
        session.ping(() => ping());
      }
    };
    ping();
    await closed;
    expect(await service.agent.call('QueryTaskStatus', { taskId: 'task' })).toMatchObject({
      status: 'RUNNING',
    });
  });

  it('has a larger request refused, and the next one answered', async () => {
    const refused = await statusOf(
      service.agent.call('QueryTaskStatus', { taskId: 'x'.repeat(2_000) }),
    );
    expect(refused.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(refused.details).toMatch(/larger than max \(20\d\d vs\.? 2000\)/);
    expect(await service.agent.call('QueryTaskStatus', { taskId: 'task' })).toMatchObject({
      status: 'RUNNING',
    });
  });

  it('has streams refused when there are too many over all connections, until one ends', async () => {
    const other = new ServiceClient('lybic.agent.Agent', service.address);
    const first = service.tasks.stream('WatchTask', { task_id: 'task', after_sequence: 0 });
    const second = other.stream('GetAgentTaskStream', { taskId: 'unknown' });
    expect((await statusOf(second.ended)).code).toBe(status.NOT_FOUND);
    const third = other.stream('GetAgentTaskStream', { taskId: 'task' });
    // Both are followed when what is added meanwhile arrives.
    const refused = await statusOf(
      (async () => {
        for (;;) {
          await other.stream('GetAgentTaskStream', { taskId: 'unknown' }).ended.catch((error) => {
            if (error.code !== status.NOT_FOUND) {
              throw error;
            }
          });
        }
      })(),
    );
    expect(refused.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(refused.details).toMatch(/GRPC_MAX_STREAMS/);
    third.call.cancel();
    for (;;) {
      const again = await statusOf(other.stream('GetAgentTaskStream', { taskId: 'unknown' }).ended);
      if (again.code === status.NOT_FOUND) {
        break;
      }
    }
    first.call.cancel();
    other.close();
  });
});
