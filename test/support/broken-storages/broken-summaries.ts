import { TaskStorageError } from '../../../src/task/errors.js';
import type { GetTaskOptions, TaskOperations } from '../../../src/task/task-storage.js';
import type { Task, TaskSummary } from '../../../src/task/task.js';
import { inTasks, replace, swallow, type BrokenStorage } from './breaking.js';

type GetTask = (taskId: string, options?: GetTaskOptions) => Promise<TaskSummary | null>;

/** Gives the function the types of `getTask`, which a broken one need not keep to. */
function asGetTask(broken: GetTask): Partial<TaskOperations> {
  function getTask(
    taskId: string,
    options: GetTaskOptions & { view: 'summary' },
  ): Promise<TaskSummary | null>;
  function getTask(taskId: string, options?: GetTaskOptions): Promise<Task | null>;
  async function getTask(taskId: string, options?: GetTaskOptions): Promise<TaskSummary | null> {
    return broken(taskId, options);
  }
  return { getTask };
}

/** Breaks `getTask` for summaries, and leaves it as it is for whole tasks. */
function ofSummaries(tasks: TaskOperations, getSummary: GetTask): Partial<TaskOperations> {
  return asGetTask(async (taskId, options) =>
    options?.view === 'summary' ? getSummary(taskId, options) : tasks.getTask(taskId, options),
  );
}

/** Mistakes in reading the summary of one task. */
export const brokenSummaries: readonly BrokenStorage[] = [
  {
    mistake: 'answers the whole task for its summary',
    caughtBy: 'of one task has every field but the large ones, not even as undefined',
    breakStorage: inTasks((tasks) => ofSummaries(tasks, async (taskId) => tasks.getTask(taskId))),
  },
  {
    mistake: 'leaves the statistics out of a summary',
    caughtBy: 'of one task has every field but the large ones, not even as undefined',
    breakStorage: inTasks((tasks) =>
      ofSummaries(tasks, async (taskId, options) => {
        const task = await tasks.getTask(taskId, options);
        return task && { ...task, executionStatistics: null };
      }),
    ),
  },
  {
    mistake: 'answers the same summary object to everybody',
    caughtBy: 'stores nothing of what is done to an answer',
    breakStorage: inTasks((tasks) => {
      let kept: Promise<TaskSummary | null> | undefined;
      return ofSummaries(
        tasks,
        async (taskId, options) => (kept ??= tasks.getTask(taskId, options)),
      );
    }),
  },
  {
    mistake: 'finds the summary of a task of another tenant',
    caughtBy: 'of one task is null for a task that does not exist',
    breakStorage: (storage) =>
      replace(storage, {
        forTenant: (tenantId) => {
          const scoped = storage.forTenant(tenantId);
          const anybody: GetTask = async (taskId, options) => storage.getTask(taskId, options);
          return replace(scoped, ofSummaries(scoped, anybody));
        },
      }),
  },
  {
    mistake: 'takes any view for the full one',
    caughtBy: 'hostile arguments > are refused as options of getTask',
    breakStorage: inTasks((tasks) =>
      asGetTask(async (taskId, options) =>
        tasks.getTask(taskId, options?.view === 'summary' ? options : undefined),
      ),
    ),
  },
  {
    mistake: 'looks for the id of a summary before it checks it',
    caughtBy: 'is refused as the id of a task by every operation',
    breakStorage: inTasks((tasks) =>
      ofSummaries(tasks, async (taskId, options) =>
        taskId === '' ? null : tasks.getTask(taskId, options),
      ),
    ),
  },
  {
    mistake: 'answers null for a summary when it is unavailable',
    caughtBy: 'a closed storage > answers UNAVAILABLE to every operation',
    breakStorage: inTasks((tasks) =>
      ofSummaries(tasks, async (taskId, options) =>
        swallow(tasks.getTask(taskId, options), TaskStorageError, null),
      ),
    ),
  },
  {
    mistake: 'answers summaries as they were when they were first read',
    caughtBy: 'random operations > are answered as a plain model',
    breakStorage: inTasks((tasks) => {
      const kept = new Map<string, TaskSummary>();
      return ofSummaries(tasks, async (taskId, options) => {
        const task = await tasks.getTask(taskId, options);
        const first = task && (kept.get(taskId) ?? task);
        if (first !== null) {
          kept.set(taskId, first);
        }
        return first;
      });
    }),
  },
];
