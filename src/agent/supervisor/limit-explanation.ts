import { TaskLimitReachedError } from '../../task/errors.js';
import type { AgentSettings } from '../agent-options.js';

/** @returns the error, which says where its limit comes from when it is one of the settings */
export function explainLimit(
  error: unknown,
  settings: Pick<AgentSettings, 'maxTasks' | 'maxTasksPerTenant'>,
): unknown {
  if (!(error instanceof TaskLimitReachedError)) {
    return error;
  }
  const { limit } = error;
  if (limit === settings.maxTasks) {
    return new TaskLimitReachedError(
      limit,
      `The service has reached its limit of ${limit} active tasks (TASK_MAX_TASKS); try again when one has ended`,
    );
  }
  return limit === settings.maxTasksPerTenant
    ? new TaskLimitReachedError(
        limit,
        `The tenant has reached its limit of ${limit} active tasks (TASK_MAX_TASKS_PER_TENANT); try again when one has ended`,
      )
    : error;
}
