import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Task } from '../../../src/task/task.js';
import { inTasks, type BrokenStorage } from './breaking.js';

const EACH_FOR_ITSELF = 'answers each of many different calls at once for itself';
const IN_ORDER = 'does calls about one task in their order, awaited or not';

/** Gathers what comes in one turn. @returns all of it, for each when the turn is over */
function createTurns<T>(): (item: T) => Promise<readonly T[]> {
  let gathered: T[] = [];
  return async (item) => {
    const all = gathered;
    all.push(item);
    await nextTurn();
    if (gathered === all) {
      gathered = [];
    }
    return all;
  };
}

/** Mistakes in sharing work among calls that come at the same time. */
export const brokenBursts: readonly BrokenStorage[] = [
  {
    mistake: 'fails all updates that come together for the sake of one',
    caughtBy: EACH_FOR_ITSELF,
    breakStorage: inTasks((tasks) => {
      const gather = createTurns<Promise<boolean>>();
      return {
        updateTask: async (taskId, updates, options) => {
          const update = tasks.updateTask(taskId, updates, options);
          update.catch(() => undefined);
          await Promise.all(await gather(update));
          return update;
        },
      };
    }),
  },
  {
    mistake: 'answers all that is created together as the last of it',
    caughtBy: EACH_FOR_ITSELF,
    breakStorage: inTasks((tasks) => {
      const gather = createTurns<Promise<boolean>>();
      return {
        createTask: async (task, options) => {
          const create = tasks.createTask(task, options);
          return (await gather(create)).at(-1) ?? create;
        },
      };
    }),
  },
  {
    mistake: 'tells all who create one id at once that they did',
    caughtBy: EACH_FOR_ITSELF,
    breakStorage: inTasks((tasks) => {
      const creating = new Map<string, Promise<boolean>>();
      return {
        createTask: async (task, options) => {
          const create = creating.get(task.taskId) ?? tasks.createTask(task, options);
          creating.set(task.taskId, create);
          return create.finally(() => creating.delete(task.taskId));
        },
      };
    }),
  },
  {
    mistake: 'reads once for all who ask for one id at once, of whichever tenant',
    caughtBy: EACH_FOR_ITSELF,
    breakStorage: (storage) => {
      const reading = new Map<string, Promise<Task | null>>();
      return inTasks((tasks) => ({
        getTask: async (taskId) => {
          const read = reading.get(taskId) ?? tasks.getTask(taskId);
          reading.set(taskId, read);
          return read.finally(() => reading.delete(taskId));
        },
      }))(storage);
    },
  },
  {
    mistake: 'lets one who expects a version overwrite when others write at the same time',
    caughtBy: EACH_FOR_ITSELF,
    breakStorage: inTasks((tasks) => {
      const gather = createTurns<string>();
      return {
        updateTask: async (taskId, updates, options) => {
          const isAlone = (await gather(taskId)).length === 1;
          return tasks.updateTask(taskId, updates, isAlone ? options : { events: options?.events });
        },
      };
    }),
  },
  {
    mistake: 'does first what has come last',
    caughtBy: IN_ORDER,
    breakStorage: inTasks((tasks) => {
      const waiting: (() => void)[] = [];
      return {
        appendEvents: async (taskId, events, options) => {
          await new Promise<void>((resolve) => {
            waiting.unshift(resolve);
            setImmediate(() => waiting.shift()?.());
          });
          return tasks.appendEvents(taskId, events, options);
        },
      };
    }),
  },
  {
    mistake: 'overtakes an update with the events that were added after it',
    caughtBy: IN_ORDER,
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options) => {
        await nextTurn();
        return tasks.updateTask(taskId, updates, options);
      },
    })),
  },
];
