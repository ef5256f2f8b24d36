import { InvalidTaskError } from '../../task/errors.js';
import type { TaskUpdates } from '../../task/task.js';
import type { AgentProgress } from '../agent-runner.js';
import type { RunLimits } from '../limits/agent-limits.js';
import { problemOfSize } from '../limits/size-checks.js';
import { storableJson } from '../storable-text.js';

/** The fields of a task that a runner saves while it works. */
export type TaskProgress = Pick<
  TaskUpdates,
  'executionStatistics' | 'conversationHistory' | 'sandboxInfo'
>;

/** The names of {@link TaskProgress}. */
export const PROGRESS_FIELDS = [
  'executionStatistics',
  'conversationHistory',
  'sandboxInfo',
] as const;

/**
 * Copies what a runner saves. A field with a value that JSON cannot say is left out whole, and keeps
 * what was saved before, as is one that is too large: half of it would be wrong, and failing the run
 * for it would be worse.
 *
 * @param onDropped is told which value it was
 */
export function storableProgress(
  progress: AgentProgress,
  { maxFieldBytes }: Pick<RunLimits, 'maxFieldBytes'>,
  onDropped: (problem: string) => void,
): TaskProgress {
  const storable: TaskProgress = {};
  for (const field of PROGRESS_FIELDS) {
    const value = progress[field] ?? undefined;
    try {
      if (value !== undefined) {
        const copy = storableJson(value, field);
        const problem = problemOfSize(copy, maxFieldBytes);
        if (problem === null) {
          storable[field] = copy;
        } else {
          onDropped(`${field} ${problem}`);
        }
      }
    } catch (error) {
      if (!(error instanceof InvalidTaskError)) {
        throw error;
      }
      onDropped(error.message);
    }
  }
  return storable;
}
