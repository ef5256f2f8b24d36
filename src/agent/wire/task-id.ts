import { InvalidTaskError } from '../../task/errors.js';
import { parseTaskId } from '../../task/task-input.js';

/**
 * Whether a task can have this id at all. To clients of the original service an id that none can
 * have is simply unknown.
 */
export function isTaskId(taskId: string): boolean {
  try {
    parseTaskId(taskId);
    return true;
  } catch (error) {
    if (error instanceof InvalidTaskError) {
      return false;
    }
    throw error;
  }
}
