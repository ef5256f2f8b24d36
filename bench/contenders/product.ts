import type { TaskStorage } from '../../src/task/task-storage.js';
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

/** The product, through its contract. */
export function productContender(storage: TaskStorage, name = 'product'): Contender {
  const acknowledged = new Acknowledged();
  const newTaskId = newTaskIds(name);
  let steps = 0;
  return {
    name,
    acknowledged,
    operations: {
      create: async () => {
        const taskId = newTaskId();
        const task = { taskId, query: QUERY, maxSteps: MAX_STEPS };
        if (!(await storage.createTask({ ...task, requestData: REQUEST_DATA }))) {
          wrongAnswer(name, 'a new id is taken');
        }
        acknowledged.created.add(taskId);
      },
      get: async () => {
        const taskId = existingTaskId(name);
        const task = await storage.getTask(taskId);
        if (task?.taskId !== taskId || task.requestData?.['instruction'] !== QUERY) {
          wrongAnswer(name, 'not the task that was asked for');
        }
      },
      update: async () => {
        steps += 1;
        const updates = { executionStatistics: { steps } };
        const taskId = existingTaskId(name);
        if (!(await storage.updateTask(taskId, updates))) {
          wrongAnswer(name, 'a task that exists was not found');
        }
        acknowledged.update(taskId);
      },
      'append event': async () => {
        const taskId = existingTaskId(name);
        if ((await storage.appendEvents(taskId, [STAGE])) === null) {
          wrongAnswer(name, 'a task that exists was not found');
        }
        acknowledged.append(taskId);
      },
    },
    close: async () => storage.close(),
  };
}
