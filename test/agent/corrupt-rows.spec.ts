import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { startAgentService, type AgentService } from '../support/agent-service.js';
import {
  allowNulls,
  CORRUPT_COLUMNS,
  CORRUPT_CONTENT,
  insertCorrupt,
} from '../support/corrupt-columns.js';
import { PostgresStorages } from '../support/postgres-storages.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

const BAD = 'bad';

const postgres = new PostgresStorages();
let storage: TaskStorage;
let runner: ScriptedRunner;
let service: AgentService;

beforeAll(async () => {
  await postgres.create();
  storage = await postgres.open();
  await allowNulls(postgres.database);
  runner = new ScriptedRunner();
  service = await startAgentService(storage, runner, { whenFull: 'queue' });
  await storage.createTask({ taskId: 'good', query: 'q', maxSteps: 1 });
});
afterEach(async () => {
  await postgres.database.query(`DELETE FROM agent_tasks WHERE task_id <> 'good'`);
});
afterAll(async () => {
  await service.stop();
  await service.close();
  await postgres.drop();
});

describe.each(CORRUPT_COLUMNS.filter(({ inSummary }) => inSummary))(
  'A task with $column = $value',
  (corrupt) => {
    it('is DATA_LOSS with the reason, is listed as unreadable, and can be deleted', async () => {
      await insertCorrupt(postgres.database, BAD, corrupt);
      const calls = [
        service.tasks.call('GetTask', { task_id: BAD }),
        service.tasks.stream('WatchTask', { task_id: BAD }).ended,
        service.agent.call('QueryTaskStatus', { taskId: BAD }),
        service.agent.stream('GetAgentTaskStream', { taskId: BAD }).ended,
      ];
      for (const call of calls) {
        const error = await statusOf(call);
        expect(error.code).toBe(status.DATA_LOSS);
        expect(error.details).toContain(
          `Task ${BAD} cannot be read: the column ${corrupt.column} `,
        );
        expect(error.details).not.toContain(CORRUPT_CONTENT);
        expect(errorInfoOf(error).reason).toBe('CORRUPT');
      }
      const page = await service.tasks.call('ListTasks');
      expect(page.tasks.map(({ task_id }) => task_id)).toEqual(['good']);
      expect(page.unreadable_tasks).toEqual([
        { task_id: BAD, reason: expect.stringContaining(corrupt.column) },
      ]);
      await service.tasks.call('DeleteTask', { task_id: BAD });
      expect((await service.tasks.call('ListTasks')).unreadable_tasks).toEqual([]);
    });
  },
);

it('is told to the operator once, however often it is listed', async () => {
  await insertCorrupt(postgres.database, 'listed', {
    column: 'status',
    value: `'FINISHED'`,
    inSummary: true,
  });
  await service.tasks.call('ListTasks');
  await service.tasks.call('ListTasks');
  const told = service.logger.messages('error').filter((line) => line.includes('Task listed'));
  expect(told).toEqual([
    'Task listed cannot be read: the column status holds a string, which is not one of ' +
      'pending, running, finished, error, cancelled; mend or delete it',
  ]);
});

it('runs what is queued behind a task that cannot be read', async () => {
  await insertCorrupt(postgres.database, BAD, {
    column: 'request_data',
    value: `'[]'`,
    inSummary: false,
  });
  await postgres.database.query(
    `UPDATE agent_tasks SET queued_at = '2000-01-01' WHERE task_id = $1`,
    [BAD],
  );
  const instruction = 'behind it';
  await service.agent.call('RunAgentInstructionAsync', { instruction });
  const run = await runner.next();
  expect(run.run.instruction).toBe(instruction);
  run.finish({});
  const events = await service.agent.stream('GetAgentTaskStream', { taskId: BAD }).ended;
  expect(events.map(({ taskStream }) => taskStream.stage)).toEqual(['error']);
});

it('ends a stream at an event that cannot be read', async () => {
  await storage.createTask({ taskId: 'spoiled', query: 'q', maxSteps: 1 });
  await storage.appendEvents('spoiled', [{ stage: 'step', message: 'm' }]);
  await postgres.database.query(`UPDATE agent_tasks_events SET status = 'UNKNOWN'
    WHERE task_id = 'spoiled'`);
  const error = await statusOf(
    service.agent.stream('GetAgentTaskStream', { taskId: 'spoiled' }).ended,
  );
  expect(error.code).toBe(status.DATA_LOSS);
  expect(error.details).toContain('column status');
});
