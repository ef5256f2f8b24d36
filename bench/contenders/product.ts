import type { TaskStorage } from '../../src/task/task-storage.js';
import {
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
  const acknowledged = { created: 0, updated: 0, appended: 0 };
  const newTaskId = newTaskIds(name);
  let steps = 0;
  return {
    name,
    acknowledged,
    operations: {
      create: async () => {
        const task = { taskId: newTaskId(), query: QUERY, maxSteps: MAX_STEPS };
        if (!(await storage.createTask({ ...task, requestData: REQUEST_DATA }))) {
          wrongAnswer(name, 'a new id is taken');
        }
        acknowledged.created += 1;
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
        if (!(await storage.updateTask(existingTaskId(name), updates))) {
          wrongAnswer(name, 'a task that exists was not found');
        }
        acknowledged.updated += 1;
      },
      'append event': async () => {
        if ((await storage.appendEvents(existingTaskId(name), [STAGE])) === null) {
          wrongAnswer(name, 'a task that exists was not found');
        }
        acknowledged.appended += 1;
      },
    },
    close: async () => storage.close(),
  };
}
