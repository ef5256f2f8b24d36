import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { startAgentService, type AgentService } from '../support/agent-service.js';

/** Notes the options of each `getTask`. */
function noteReads(inner: TaskStorage, reads: unknown[]): TaskStorage {
  return new Proxy(inner, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') {
        return value;
      }
      return (...given: unknown[]): unknown => {
        if (key === 'getTask') {
          reads.push(given[1]);
        }
        return Reflect.apply(value, target, given);
      };
    },
  });
}

describe('A task that may be large is read', () => {
  const reads: unknown[] = [];
  let service: AgentService;

  beforeEach(async () => {
    reads.length = 0;
    const storage = noteReads(createMemoryTaskStorage(), reads);
    await storage.createTask({
      taskId: 'task',
      query: 'q',
      maxSteps: 1,
      status: 'running',
      executionStatistics: { steps: 3 },
      sandboxInfo: { id: 'box', os: 0, shape_name: 'small' },
      conversationHistory: { planner: ['much'] },
    });
    await storage.updateTask('task', { status: 'finished', result: 'done' });
    service = await startAgentService(storage, null);
  });

  afterEach(async () => service.close());

  it('without its payload for QueryTaskStatus, which answers all that it says', async () => {
    expect(await service.agent.call('QueryTaskStatus', { taskId: 'task' })).toMatchObject({
      status: 'SUCCESS',
      result: 'done',
      sandbox: { id: 'box', shapeName: 'small' },
      executionStatistics: { steps: 3 },
    });
    expect(reads).toEqual([{ view: 'summary' }]);
  });

  it('without its payload by who follows it', async () => {
    const stages = await service.agent.stream('GetAgentTaskStream', { taskId: 'task' }).ended;
    expect(stages.map(({ taskStream }) => taskStream.stage)).toEqual(['finished']);
    expect(reads).toEqual([{ view: 'summary' }]);
  });

  it('whole for GetTask', async () => {
    const task = await service.tasks.call('GetTask', { task_id: 'task' });
    expect(JSON.parse(task.conversation_history_json)).toEqual({ planner: ['much'] });
    expect(reads).toEqual([undefined]);
  });
});
