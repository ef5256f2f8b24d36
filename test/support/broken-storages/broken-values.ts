import { setImmediate as nextTurn } from 'node:timers/promises';
import { InvalidTaskError } from '../../../src/task/errors.js';
import type { JsonObject } from '../../../src/task/json.js';
import type { ListTasksOptions } from '../../../src/task/task-storage.js';
import type { NewTask, Task } from '../../../src/task/task.js';
import { inTasks, list, type BrokenStorage } from './breaking.js';

function throughJson<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}

function withJson(task: Task, change: (json: JsonObject | null) => JsonObject | null): Task {
  return {
    ...task,
    executionStatistics: change(task.executionStatistics),
    sandboxInfo: change(task.sandboxInfo),
    requestData: change(task.requestData),
    conversationHistory: change(task.conversationHistory),
  };
}

/** Copies as many hand-written copies do: an own `__proto__` becomes the prototype. */
function assignKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return value;
  }
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    copy[key] = assignKeys(item);
  }
  return copy;
}

/** Mistakes in what goes in and comes out. */
export const brokenValues: readonly BrokenStorage[] = [
  {
    mistake: 'keeps the JSON object that createTask was given',
    caughtBy: 'keeps a new task as it was when createTask was called',
    breakStorage: inTasks((tasks) => {
      const given = new Map<string, NewTask>();
      return {
        createTask: async (task, options) => {
          given.set(task.taskId, task);
          return tasks.createTask(task, options);
        },
        getTask: async (taskId) => {
          const task = await tasks.getTask(taskId);
          return task && { ...task, requestData: given.get(taskId)?.requestData ?? null };
        },
      };
    }),
  },
  {
    mistake: 'keeps the JSON object that updateTask was given',
    caughtBy: 'keeps an update as it was when updateTask was called',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options) => {
        await nextTurn();
        return tasks.updateTask(taskId, updates, options);
      },
    })),
  },
  {
    mistake: 'answers the same object to everybody',
    caughtBy: 'stores nothing of what is done to an answer',
    breakStorage: inTasks((tasks) => {
      let kept: Promise<Task | null> | undefined;
      return { getTask: (taskId) => (kept ??= tasks.getTask(taskId)) };
    }),
  },
  {
    mistake: 'removes NUL characters in silence',
    caughtBy: 'hostile text > is refused in a new task, naming the field',
    breakStorage: inTasks((tasks) => ({
      createTask: (task, options) =>
        tasks.createTask({ ...task, query: task.query.replaceAll('\0', '') }, options),
    })),
  },
  {
    mistake: 'hands on the raw error of a driver',
    caughtBy: 'hostile text > is refused in an update, naming the field',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (...given) =>
        tasks.updateTask(...given).catch((cause: unknown) => {
          throw new Error('invalid byte sequence for encoding "UTF8": 0x00', { cause });
        }),
    })),
  },
  {
    mistake: 'trims text',
    caughtBy: 'comes back as it was, in every field that can hold it',
    breakStorage: inTasks((tasks) => ({
      createTask: (task, options) =>
        tasks.createTask({ ...task, query: task.query.trim() }, options),
    })),
  },
  {
    mistake: 'throws at once where it should reject',
    caughtBy: 'is refused as the id of a task by every operation',
    breakStorage: inTasks((tasks) => ({
      getTask: (taskId) => {
        if (taskId === '') {
          throw new InvalidTaskError('taskId', 'is empty');
        }
        return tasks.getTask(taskId);
      },
    })),
  },
  {
    mistake: 'stores what JSON.stringify makes of it',
    caughtBy: 'is refused with a value inside that is: Date',
    breakStorage: inTasks((tasks) => ({
      createTask: (task, options) =>
        tasks.createTask({ ...task, requestData: throughJson(task.requestData) }, options),
    })),
  },
  {
    mistake: 'drops what is undefined inside JSON',
    caughtBy: 'is refused with a value inside that is: undefined',
    breakStorage: inTasks((tasks) => ({
      updateTask: (taskId, updates, options) =>
        tasks.updateTask(
          taskId,
          { ...updates, sandboxInfo: throughJson(updates.sandboxInfo) },
          options,
        ),
    })),
  },
  {
    mistake: 'assigns keys of JSON, __proto__ among them',
    caughtBy: 'hostile JSON > comes back as it was, in every field',
    breakStorage: inTasks((tasks) => ({
      getTask: async (taskId) => {
        const task = await tasks.getTask(taskId);
        return task && withJson(task, (json) => assignKeys(json) as JsonObject | null);
      },
    })),
  },
  {
    mistake: 'takes limits of any size for the largest one',
    caughtBy: 'hostile arguments > are refused by the lists',
    breakStorage: inTasks((tasks) => ({
      listTasks: async (options?: ListTasksOptions) =>
        list(tasks, { ...options, limit: Math.min(1000, options?.limit ?? 100) }),
    })),
  },
  {
    mistake: 'ignores fields that it does not know',
    caughtBy: 'hostile arguments > are refused for an update, naming the field',
    breakStorage: inTasks((tasks) => ({
      updateTask: (taskId, { status, query, maxSteps, ...others }, options) => {
        Reflect.deleteProperty(others, 'unknown');
        return tasks.updateTask(taskId, { ...others, status, query, maxSteps }, options);
      },
    })),
  },
];
