import { DataSource, EntitySchema } from 'typeorm';
import {
  Acknowledged,
  existingTaskId,
  MAX_STEPS,
  newTaskIds,
  QUERY,
  REQUEST_DATA,
  STAGE,
  wrongAnswer,
  type Contender,
} from './contender.js';

/** A task as an application maps it. */
export interface TaskEntity {
  taskId: string;
  tenantId: string;
  status: string;
  query: string;
  maxSteps: number;
  executionStatistics: object | null;
  requestData: object | null;
  conversationHistory: object | null;
  lastEventSequence: number;
  version: number;
  createdAt: Date;
  updatedAt: Date;
  finishedAt: Date | null;
}

interface EventEntity {
  taskId: string;
  sequence: number;
  stage: string;
  message: string;
}

export const taskEntity = new EntitySchema<TaskEntity>({
  name: 'Task',
  tableName: 'agent_tasks',
  columns: {
    taskId: { name: 'task_id', type: 'varchar', primary: true },
    tenantId: { name: 'tenant_id', type: 'varchar', default: 'default' },
    status: { type: 'varchar' },
    query: { type: 'text' },
    maxSteps: { name: 'max_steps', type: 'int' },
    executionStatistics: { name: 'execution_statistics', type: 'jsonb', nullable: true },
    requestData: { name: 'request_data', type: 'jsonb', nullable: true },
    conversationHistory: { name: 'conversation_history', type: 'jsonb', nullable: true },
    lastEventSequence: { name: 'last_event_sequence', type: 'int', default: 0 },
    version: { type: 'int', default: 1 },
    createdAt: { name: 'created_at', type: 'timestamptz', createDate: true },
    updatedAt: { name: 'updated_at', type: 'timestamptz', updateDate: true },
    finishedAt: { name: 'finished_at', type: 'timestamptz', nullable: true },
  },
});

const eventEntity = new EntitySchema<EventEntity>({
  name: 'TaskEvent',
  tableName: 'agent_tasks_events',
  columns: {
    taskId: { name: 'task_id', type: 'varchar', primary: true },
    sequence: { type: 'int', primary: true },
    stage: { type: 'varchar' },
    message: { type: 'text' },
  },
});

export async function connectTypeOrm(url: string, poolSize: number): Promise<DataSource> {
  const entities = [taskEntity, eventEntity];
  return new DataSource({ type: 'postgres', url, poolSize, entities }).initialize();
}

/** TypeORM's repository as most applications use it. */
export function typeOrmContender(dataSource: DataSource): Contender {
  const name = 'typeorm';
  const acknowledged = new Acknowledged();
  const newTaskId = newTaskIds(name);
  const tasks = dataSource.getRepository(taskEntity);
  let steps = 0;
  return {
    name,
    acknowledged,
    operations: {
      create: async () => {
        const taskId = newTaskId();
        await tasks.insert({
          taskId,
          status: 'pending',
          query: QUERY,
          maxSteps: MAX_STEPS,
          requestData: REQUEST_DATA,
        });
        acknowledged.created.add(taskId);
      },
      get: async () => {
        const taskId = existingTaskId(name);
        const task = await tasks.findOneBy({ taskId });
        if (task?.taskId !== taskId) {
          wrongAnswer(name, 'not the task that was asked for');
        }
      },
      update: async () => {
        steps += 1;
        const taskId = existingTaskId(name);
        const { affected } = await tasks.update(
          { taskId },
          { executionStatistics: { steps }, version: () => 'version + 1' },
        );
        if (affected !== 1) {
          wrongAnswer(name, `an update wrote ${affected} rows`);
        }
        acknowledged.update(taskId);
      },
      'append event': async () => {
        const taskId = existingTaskId(name);
        await dataSource.transaction(async (manager) => {
          await manager.increment(taskEntity, { taskId }, 'lastEventSequence', 1);
          const task = await manager.findOneOrFail(taskEntity, {
            where: { taskId },
            select: { taskId: true, lastEventSequence: true },
          });
          const { lastEventSequence: sequence } = task;
          await manager.insert(eventEntity, { taskId, sequence, ...STAGE });
        });
        acknowledged.append(taskId);
      },
    },
    close: async () => dataSource.destroy(),
  };
}
