import { TaskStorageError } from '../../../src/task/errors.js';
import type { ExclusiveResult, ListTasksOptions } from '../../../src/task/task-storage.js';
import { inTasks, list, replace, swallow, type BrokenStorage } from './breaking.js';

/** Mistakes beside the single operations. */
export const brokenServices: readonly BrokenStorage[] = [
  {
    mistake: 'lets the last writer of a setting win',
    caughtBy: 'are not written at another version',
    breakStorage: (storage) => {
      const { settings } = storage;
      return replace(storage, {
        settings: replace(settings, {
          putSetting: async (name, value) =>
            settings.putSetting(name, value, (await settings.getSetting(name))?.version ?? 0),
        }),
      });
    },
  },
  {
    mistake: 'runs exclusive work beside other work',
    caughtBy: 'never runs two of many at once',
    breakStorage: (storage) =>
      replace(storage, {
        runExclusively: async <T>(
          _name: string,
          work: (lost: AbortSignal) => Promise<T>,
        ): Promise<ExclusiveResult<T>> => ({
          ran: true,
          value: await work(new AbortController().signal),
        }),
      }),
  },
  {
    mistake: 'stays locked after exclusive work that failed',
    caughtBy: 'hands on the error of the work and lets the next one run',
    breakStorage: (storage) => {
      const locked = new Set<string>();
      return replace(storage, {
        runExclusively: async <T>(
          name: string,
          work: (lost: AbortSignal) => Promise<T>,
        ): Promise<ExclusiveResult<T>> => {
          if (locked.has(name)) {
            return { ran: false };
          }
          locked.add(name);
          const value = await work(new AbortController().signal);
          locked.delete(name);
          return { ran: true, value };
        },
      });
    },
  },
  {
    mistake: 'answers null and false when it is unavailable',
    caughtBy: 'a closed storage > answers UNAVAILABLE to every operation',
    breakStorage: inTasks((tasks) => ({
      getTask: (taskId) => swallow(tasks.getTask(taskId), TaskStorageError, null),
    })),
  },
  {
    mistake: 'counts one pending task of a tenant at the most',
    caughtBy: 'random operations > are answered as a plain model',
    breakStorage: (storage) =>
      replace(storage, {
        forTenant: (tenantId) => {
          const scoped = storage.forTenant(tenantId);
          return replace(scoped, {
            countActiveTasks: async () => {
              const { tasks } = await list(scoped, { status: 'running' });
              return (
                tasks.length + (await list(scoped, { status: 'pending', limit: 1 })).tasks.length
              );
            },
          });
        },
      }),
  },
  {
    mistake: 'forgets updatedAt when an ended task changes',
    caughtBy: 'random operations > are answered as a plain model',
    breakStorage: inTasks((tasks) => ({
      listTasks: async (options?: ListTasksOptions) => {
        const page = await list(tasks, options);
        return {
          ...page,
          tasks: page.tasks.map((task) => ({
            ...task,
            updatedAt: task.finishedAt ?? task.updatedAt,
          })),
        };
      },
    })),
  },
];
