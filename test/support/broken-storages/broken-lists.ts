import type { ListTasksOptions } from '../../../src/task/task-storage.js';
import { inTasks, list, replace, type BrokenStorage } from './breaking.js';

/** Mistakes in listing, counting and cleaning up tasks. */
export const brokenLists: readonly BrokenStorage[] = [
  {
    mistake: 'lists the oldest first',
    caughtBy: 'order the list, the newest first',
    breakStorage: inTasks((tasks) => ({
      listTasks: async (options?: ListTasksOptions) => {
        const page = await list(tasks, options);
        return { ...page, tasks: page.tasks.toReversed() };
      },
    })),
  },
  {
    mistake: 'gives out a token with the last page',
    caughtBy: 'cuts the list by offset and limit',
    breakStorage: inTasks((tasks) => ({
      listTasks: async (options?: ListTasksOptions) => {
        const page = await list(tasks, options);
        return page.tasks.length === options?.limit ? { ...page, nextPageToken: 'more' } : page;
      },
    })),
  },
  {
    mistake: 'makes page tokens of offsets',
    caughtBy: 'skip and repeat nothing while tasks are created',
    breakStorage: inTasks((tasks) => ({
      listTasks: async (given?: ListTasksOptions) => {
        const { pageToken, limit = 100, ...options } = given ?? {};
        const offset = Number(pageToken ?? options.offset ?? 0);
        const { tasks: page, nextPageToken } = await list(tasks, { ...options, limit, offset });
        return { tasks: page, nextPageToken: nextPageToken && String(offset + limit) };
      },
    })),
  },
  {
    mistake: 'cannot find the task that a page token was cut at',
    caughtBy: 'survive the deletion of the task that they were cut at',
    breakStorage: inTasks((tasks) => ({
      listTasks: async (given?: ListTasksOptions) => {
        const { pageToken, limit = 100, ...options } = given ?? {};
        const { tasks: all } = await list(tasks, { ...options, limit: 1000 });
        const start =
          pageToken === undefined ? 0 : all.findIndex((t) => t.taskId === pageToken) + 1;
        const page = all.slice(start, start + limit);
        const isLast = start + limit >= all.length;
        return { tasks: page, nextPageToken: isLast ? null : (page.at(-1)?.taskId ?? null) };
      },
    })),
  },
  {
    mistake: 'starts again when a page token is wrong',
    caughtBy: 'are refused when a single character differs',
    breakStorage: inTasks((tasks) => ({
      listTasks: async (options?: ListTasksOptions) => {
        const { pageToken: _token, ...others } = options ?? {};
        return list(tasks, options).catch(async () => list(tasks, others));
      },
    })),
  },
  {
    mistake: 'takes a page token for the list of any tenant',
    caughtBy: 'are refused by the list of another tenant',
    breakStorage: (storage) =>
      replace(storage, {
        forTenant: (tenantId) => {
          const scoped = storage.forTenant(tenantId);
          return replace(scoped, {
            listTasks: async (options?: ListTasksOptions) => {
              const { tasks, nextPageToken } = await list(storage, options);
              return { tasks: tasks.filter((task) => task.tenantId === tenantId), nextPageToken };
            },
          });
        },
      }),
  },
  {
    mistake: 'leaves the large fields of a summary undefined',
    caughtBy: 'the summary view > has every field but the large ones, not even as undefined',
    breakStorage: inTasks((tasks) => ({
      listTasks: async (options?: ListTasksOptions) => {
        const page = await tasks.listTasks(options);
        return {
          ...page,
          tasks: page.tasks.map((task) => ({ ...task, requestData: undefined })) as never,
        };
      },
    })),
  },
  {
    mistake: 'counts ended tasks as active',
    caughtBy: 'counts pending and running tasks and no ended one',
    breakStorage: inTasks((tasks) => ({
      countActiveTasks: async () => (await list(tasks)).tasks.length,
    })),
  },
  {
    mistake: 'cleans up active tasks too',
    caughtBy: 'deletes every ended task and no active one for 0 days',
    breakStorage: inTasks((tasks) => ({
      cleanupOldTasks: async () => {
        const { tasks: all } = await list(tasks);
        await Promise.all(all.map(({ taskId }) => tasks.deleteTask(taskId)));
        return all.length;
      },
    })),
  },
  {
    mistake: 'deletes in a dry run',
    caughtBy: 'only counts in a dry run',
    breakStorage: inTasks((tasks) => ({
      cleanupOldTasks: (days, options) =>
        tasks.cleanupOldTasks(days, { ...options, dryRun: undefined }),
    })),
  },
  {
    mistake: 'counts the age of a task from its creation',
    caughtBy: 'counts the age from the end, not from the creation',
    breakStorage: inTasks((tasks) => ({
      cleanupOldTasks: async (days) => {
        const { tasks: all } = await list(tasks);
        const newest = Math.max(...all.map(({ updatedAt }) => updatedAt.getTime()));
        const old = all.filter((task) => newest - task.createdAt.getTime() >= days * 86_400_000);
        await Promise.all(old.map(({ taskId }) => tasks.deleteTask(taskId)));
        return old.length;
      },
    })),
  },
];
