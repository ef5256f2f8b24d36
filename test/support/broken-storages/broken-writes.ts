import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  IllegalTransitionError,
  TaskConflictError,
  TaskStorageError,
} from '../../../src/task/errors.js';
import type { TaskOperations } from '../../../src/task/task-storage.js';
import { inTasks, swallow, type BrokenStorage } from './breaking.js';

/** Mistakes in creating, changing and deleting tasks. */
export const brokenWrites: readonly BrokenStorage[] = [
  {
    mistake: 'overwrites a task on createTask',
    caughtBy: 'answers false for an id that is taken, and overwrites nothing',
    breakStorage: inTasks((tasks) => ({
      createTask: async (task, options) => {
        await tasks.deleteTask(task.taskId);
        return tasks.createTask(task, options);
      },
    })),
  },
  {
    mistake: 'looks for the id and then inserts',
    caughtBy: 'lets one of many simultaneous creators of an id win',
    breakStorage: inTasks((tasks) => ({
      createTask: async (task, options) => {
        if ((await tasks.getTask(task.taskId)) !== null) {
          return false;
        }
        await nextTurn();
        await tasks.deleteTask(task.taskId);
        return tasks.createTask(task, options);
      },
    })),
  },
  {
    mistake: 'compares ids without case',
    caughtBy: 'keeps ids apart that only look alike',
    breakStorage: inTasks((tasks) => ({
      createTask: (task, options) =>
        tasks.createTask({ ...task, taskId: task.taskId.toLowerCase() }, options),
      getTask: (taskId) => tasks.getTask(taskId.toLowerCase()),
    })),
  },
  {
    mistake: 'merges JSON on update',
    caughtBy: 'replaces JSON as a whole',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options) => {
        const stored = await tasks.getTask(taskId);
        const requestData = updates.requestData && {
          ...stored?.requestData,
          ...updates.requestData,
        };
        return tasks.updateTask(taskId, { ...updates, requestData }, options);
      },
    })),
  },
  {
    mistake: 'writes nothing when nothing is to change',
    caughtBy: 'raises the version by one each time, with nothing to change too',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options) =>
        Object.keys(updates).length === 0
          ? (await tasks.getTask(taskId)) !== null
          : tasks.updateTask(taskId, updates, options),
    })),
  },
  {
    mistake: 'reads, changes and writes back the whole task',
    caughtBy: 'loses none of many simultaneous updates',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options) => {
        const stored = await tasks.getTask(taskId);
        await nextTurn();
        const { query, maxSteps, result, error } = stored ?? {};
        return tasks.updateTask(taskId, { query, maxSteps, result, error, ...updates }, options);
      },
    })),
  },
  {
    mistake: 'lets an ended task take another status',
    caughtBy: 'leads from finished to nowhere only, alone',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options) => {
        const { status: _status, ...others } = updates;
        return tasks.updateTask(taskId, updates, options).catch(async (error: unknown) => {
          if (error instanceof IllegalTransitionError) {
            return tasks.updateTask(taskId, others);
          }
          throw error;
        });
      },
    })),
  },
  {
    mistake: 'writes the status and its event in two steps',
    caughtBy: 'leads from pending to running, error, cancelled only, with an event',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options) => {
        if (options?.events !== undefined) {
          await swallow(tasks.appendEvents(taskId, options.events), TaskStorageError, null);
        }
        return tasks.updateTask(taskId, updates);
      },
    })),
  },
  {
    mistake: 'looks at the version and then writes',
    caughtBy: 'lets one of many simultaneous writers of a version win',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, { expectedVersion, events } = {}) => {
        const stored = await tasks.getTask(taskId);
        await nextTurn();
        if (stored && expectedVersion !== undefined && stored.version !== expectedVersion) {
          throw new TaskConflictError('Task', expectedVersion, stored.version);
        }
        return tasks.updateTask(taskId, updates, { events });
      },
    })),
  },
  {
    mistake: 'looks at the status and then writes',
    caughtBy: 'lets one of many simultaneous starters win',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options) => {
        const stored = await tasks.getTask(taskId);
        await nextTurn();
        const update = tasks.updateTask(taskId, updates, options);
        return stored?.status === 'pending'
          ? swallow(update, IllegalTransitionError, true)
          : update;
      },
    })),
  },
  {
    mistake: 'leaves the events of a deleted task behind',
    caughtBy: 'takes the events along, so that the id starts anew',
    breakStorage: inTasks((tasks) => {
      const left = new Map<string, Awaited<ReturnType<TaskOperations['listEvents']>>>();
      return {
        deleteTask: async (taskId) => {
          left.set(taskId, await tasks.listEvents(taskId));
          return tasks.deleteTask(taskId);
        },
        listEvents: async (taskId, options) =>
          left.get(taskId) ?? tasks.listEvents(taskId, options),
      };
    }),
  },
];
