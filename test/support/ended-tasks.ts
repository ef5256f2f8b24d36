import type { TerminalStatus } from '../../src/task/task-lifecycle.js';
import type { TaskOperations } from '../../src/task/task-storage.js';

/** Stores tasks that end now, named after their status: `finished-0`, `finished-1`, ... */
export async function createEndedTasks(
  storage: TaskOperations,
  status: TerminalStatus,
  count: number,
): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const taskId = `${status}-${index}`;
    await storage.createTask({ taskId, query: 'test', maxSteps: 1, status: 'running' });
    await storage.updateTask(taskId, { status });
  }
}
