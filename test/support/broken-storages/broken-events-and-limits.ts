import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  IllegalTransitionError,
  TaskConflictError,
  TaskLimitReachedError,
} from '../../../src/task/errors.js';
import { inTasks, replace, swallow, type BrokenStorage } from './breaking.js';

/** Mistakes in the event log, in admission and between tenants. */
export const brokenEventsAndLimits: readonly BrokenStorage[] = [
  {
    mistake: 'numbers the events of each call anew',
    caughtBy: 'follow each other without gaps, however they come',
    breakStorage: inTasks((tasks) => ({
      listEvents: async (taskId, options) => {
        const events = await tasks.listEvents(taskId, options);
        return events.map((event) => ({ ...event, sequence: 1 }));
      },
    })),
  },
  {
    mistake: 'adds the events of one call one by one',
    caughtBy: 'of many simultaneous writers have no gaps and stay together',
    breakStorage: inTasks((tasks) => ({
      appendEvents: async (taskId, events) => {
        let last: number | null = null;
        for (const event of events) {
          last = await tasks.appendEvents(taskId, [event]);
          await nextTurn();
        }
        return last;
      },
    })),
  },
  {
    mistake: 'adds events to an ended task in silence',
    caughtBy: 'cannot follow the end of a task',
    breakStorage: inTasks((tasks) => ({
      appendEvents: (taskId, events) =>
        swallow(tasks.appendEvents(taskId, events), IllegalTransitionError, 1),
    })),
  },
  {
    mistake: 'raises the version with an event',
    caughtBy: 'show in lastEventSequence, and in version and updatedAt not',
    breakStorage: inTasks((tasks) => ({
      appendEvents: async (taskId, events) => {
        await tasks.updateTask(taskId, {}, { events });
        return (await tasks.getTask(taskId))?.lastEventSequence ?? null;
      },
    })),
  },
  {
    mistake: 'counts the active tasks and then inserts',
    caughtBy: 'admits exactly as many of a crowd as there is room for',
    breakStorage: (storage) =>
      replace(storage, {
        createTask: async (task, { maxActiveTasks = Infinity, events } = {}) => {
          const active = await storage.countActiveTasks();
          await nextTurn();
          if (active >= maxActiveTasks) {
            throw new TaskLimitReachedError(maxActiveTasks, 'Full');
          }
          return storage.createTask(task, { events });
        },
      }),
  },
  {
    mistake: 'limits the tasks of each tenant alone',
    caughtBy: 'counts the tasks of all tenants',
    breakStorage: inTasks((tasks) => ({
      createTask: async (task, { maxActiveTasks = Infinity, events } = {}) => {
        if ((await tasks.countActiveTasks()) >= maxActiveTasks) {
          throw new TaskLimitReachedError(maxActiveTasks, 'Full');
        }
        return tasks.createTask(task, { events });
      },
    })),
  },
  {
    mistake: 'shows every tenant all tasks',
    caughtBy: 'find none of the tasks of another',
    breakStorage: (storage) => replace(storage, { forTenant: () => storage }),
  },
  {
    mistake: 'lets a tenant update the tasks of another',
    caughtBy: 'change none of the tasks of another',
    breakStorage: (storage) =>
      replace(storage, {
        forTenant: (tenantId) =>
          replace(storage.forTenant(tenantId), { updateTask: storage.updateTask.bind(storage) }),
      }),
  },
  {
    mistake: 'tells a tenant the version of the task of another',
    caughtBy: 'learn nothing about the tasks of another from refusals',
    breakStorage: (storage) =>
      replace(storage, {
        forTenant: (tenantId) => {
          const scoped = storage.forTenant(tenantId);
          return replace(scoped, {
            updateTask: async (taskId, updates, options) => {
              const version = (await storage.getTask(taskId))?.version ?? 0;
              const { expectedVersion = version } = options ?? {};
              if (version !== expectedVersion) {
                throw new TaskConflictError('Task', expectedVersion, version);
              }
              return scoped.updateTask(taskId, updates, options);
            },
          });
        },
      }),
  },
];
