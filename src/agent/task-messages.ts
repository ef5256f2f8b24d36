import type { TaskSummary } from '../task/task.js';

/** How a run ends when its runner does not say. */
export const DEFAULT_FINAL_STATE = 'completed';

/** Says how a task is doing; clients of the original service know these sentences. */
export function describeState(task: Pick<TaskSummary, 'status' | 'finalState' | 'error'>): string {
  const { status, finalState, error } = task;
  if (status === 'finished') {
    return `Task finished with status: ${finalState ?? DEFAULT_FINAL_STATE}`;
  }
  if (status === 'error') {
    // The original service keeps no reason in its table.
    return error ?? `Task failed with status: ${finalState ?? status}`;
  }
  return status === 'cancelled' ? 'Task was cancelled by user request.' : 'Task is running.';
}

/** Says that there is no such task. */
export function describeUnknown(taskId: string): string {
  return `Task with ID ${taskId} not found.`;
}
