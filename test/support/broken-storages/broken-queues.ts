import { setImmediate as nextTurn } from 'node:timers/promises';
import { TaskLimitReachedError } from '../../../src/task/errors.js';
import type { ClaimedTask, ClaimQueuedOptions } from '../../../src/task/task-lease.js';
import type { TaskOperations, TaskStorage } from '../../../src/task/task-storage.js';
import type { Task } from '../../../src/task/task.js';
import { inLeases, inTasks, list, type BrokenStorage } from './breaking.js';

/** The tasks that are held or running. */
async function heldTasks(tasks: TaskOperations): Promise<Task[]> {
  const { tasks: all } = await list(tasks);
  return all.filter(({ status, leaseOwner }) => status === 'running' || leaseOwner !== null);
}

async function waitingTasks(tasks: TaskOperations): Promise<Task[]> {
  const { tasks: all } = await list(tasks, { status: 'pending' });
  return all
    .filter(({ queuedAt, leaseOwner }) => queuedAt !== null && leaseOwner === null)
    .toSorted((left, right) => Number(left.queuedAt) - Number(right.queuedAt));
}

/** Puts another way of claiming in the place of the storage's own. */
function claimingBy(
  claim: (
    claimRight: (options: ClaimQueuedOptions) => Promise<readonly ClaimedTask[]>,
    options: ClaimQueuedOptions,
    storage: TaskStorage,
  ) => Promise<readonly ClaimedTask[]>,
): (storage: TaskStorage) => TaskStorage {
  return inLeases((leases, storage) => ({
    claimQueued: (options) => claim(leases.claimQueued.bind(leases), options, storage),
  }));
}

const unlimitedByTenant = claimingBy((claim, options) =>
  claim({ ...options, maxHeldTasksPerTenant: undefined }),
);

/** Mistakes in the queue, and in admission by tenant and by idempotency key. */
export const brokenQueues: readonly BrokenStorage[] = [
  {
    mistake: 'gives the task first that was queued last',
    caughtBy: 'gives the task first that was queued first',
    breakStorage: claimingBy(async (claim, options) => (await claim(options)).toReversed()),
  },
  {
    mistake: 'gives tasks that were cancelled',
    caughtBy: 'gives no task that was cancelled, has failed or was deleted',
    breakStorage: claimingBy(async (claim, options, storage) => {
      const claimed = await claim(options);
      const { tasks } = await list(storage, { status: 'cancelled' });
      const queued = tasks.filter(({ queuedAt }) => queuedAt !== null);
      return [...queued.map((task) => ({ task, lostOwner: null })), ...claimed];
    }),
  },
  {
    mistake: 'gives tasks that were never queued',
    caughtBy: 'holds only what was queued, and only once',
    breakStorage: inTasks((tasks) => ({
      createTask: (task, options) =>
        tasks.createTask(task, {
          ...options,
          queue: task.status !== 'running' && options?.lease === undefined,
        }),
    })),
  },
  {
    mistake: 'looks for queued tasks and then claims them',
    caughtBy: 'gives each task to one of a crowd of claimers',
    breakStorage: claimingBy(async (claim, options, storage) => {
      const seen = (await waitingTasks(storage)).slice(0, options.limit);
      await claim(options);
      return seen.map((task) => ({ task, lostOwner: null }));
    }),
  },
  {
    mistake: 'gives a cancelled task to a claimer who saw it before',
    caughtBy: 'gives each task or lets it be cancelled, whoever comes first',
    breakStorage: claimingBy(async (claim, options, storage) => {
      const claimed = await claim(options);
      await nextTurn();
      const now = await Promise.all(claimed.map(({ task }) => storage.getTask(task.taskId)));
      return now.flatMap((task) => (task === null ? [] : { task, lostOwner: null }));
    }),
  },
  {
    mistake: 'knows no limit of held tasks',
    caughtBy: 'gives no more than may be held, by whomever',
    breakStorage: claimingBy((claim, options) => claim({ ...options, maxHeldTasks: undefined })),
  },
  {
    mistake: 'counts running tasks alone as held',
    caughtBy: 'gives no more than may be held, by whomever',
    breakStorage: claimingBy(async (claim, { maxHeldTasks = Infinity, ...options }, storage) => {
      const running = (await list(storage, { status: 'running' })).tasks.length;
      const limit = Math.min(options.limit, maxHeldTasks - running);
      return limit > 0 ? claim({ ...options, limit }) : [];
    }),
  },
  {
    mistake: 'counts held tasks and then claims',
    caughtBy: 'keeps to the limit of a crowd of claimers',
    breakStorage: claimingBy(async (claim, { maxHeldTasks = Infinity, ...options }, storage) => {
      const limit = Math.min(options.limit, maxHeldTasks - (await heldTasks(storage)).length);
      await nextTurn();
      return limit > 0 ? claim({ ...options, limit }) : [];
    }),
  },
  {
    mistake: 'knows no limit of held tasks of a tenant',
    caughtBy: 'passes over a tenant that holds as much as it may',
    breakStorage: unlimitedByTenant,
  },
  {
    mistake: 'knows no limit of held tasks of a tenant, whatever happens',
    caughtBy: 'random operations > are answered as a plain model',
    breakStorage: unlimitedByTenant,
  },
  {
    mistake: 'counts the held tasks of a tenant and then claims',
    caughtBy: 'keeps to the limit of each tenant in a crowd of claimers',
    breakStorage: claimingBy(
      async (claim, { maxHeldTasksPerTenant = Infinity, ...options }, storage) => {
        const [next] = await waitingTasks(storage);
        const held = await heldTasks(storage);
        await nextTurn();
        const ofTenant = held.filter(({ tenantId }) => tenantId === next?.tenantId).length;
        return ofTenant < maxHeldTasksPerTenant ? claim({ ...options, limit: 1 }) : [];
      },
    ),
  },
  {
    mistake: 'lets a full tenant keep the others waiting',
    caughtBy: 'passes over a tenant that holds as much as it may',
    breakStorage: claimingBy(
      async (claim, { maxHeldTasksPerTenant = Infinity, ...options }, storage) => {
        const claimed: ClaimedTask[] = [];
        while (claimed.length < options.limit) {
          const [next] = await waitingTasks(storage);
          const held = await heldTasks(storage);
          const ofTenant = held.filter(({ tenantId }) => tenantId === next?.tenantId).length;
          if (next === undefined || ofTenant >= maxHeldTasksPerTenant) {
            break;
          }
          claimed.push(...(await claim({ ...options, limit: 1 })));
        }
        return claimed;
      },
    ),
  },
  {
    mistake: 'gives a task again whose lease has ended',
    caughtBy: 'does not give a task again whose lease has ended',
    breakStorage: inLeases((leases) => ({
      claimQueued: async (options) => [
        ...(await leases.claimExpired({ ...options, limit: 1000 })),
        ...(await leases.claimQueued(options)),
      ],
    })),
  },
  {
    mistake: 'queues tasks that are running',
    caughtBy: 'are refused as a queued task that does not wait, or is held',
    breakStorage: inTasks((tasks) => ({
      createTask: (task, { queue, ...options } = {}) =>
        tasks.createTask(task, { ...options, queue: task.status === 'running' ? false : queue }),
    })),
  },
  {
    mistake: 'knows no limit of the active tasks of a tenant',
    caughtBy: 'refuses a task when so many of its tenant are active',
    breakStorage: inTasks((tasks) => ({
      createTask: (task, options) =>
        tasks.createTask(task, { ...options, maxActiveTasksPerTenant: undefined }),
    })),
  },
  {
    mistake: 'counts the active tasks of a tenant and then inserts',
    caughtBy: 'admits as many of a crowd of each tenant as there is room for',
    breakStorage: inTasks((tasks) => ({
      createTask: async (task, { maxActiveTasksPerTenant = Infinity, ...options } = {}) => {
        const active = await tasks.countActiveTasks();
        await nextTurn();
        if (active >= maxActiveTasksPerTenant) {
          throw new TaskLimitReachedError(maxActiveTasksPerTenant, 'Full');
        }
        return tasks.createTask(task, options);
      },
    })),
  },
  {
    mistake: 'looks at the limit before it looks for the id',
    caughtBy: 'refuses nobody at a limit that the task itself reaches',
    breakStorage: inTasks((tasks) => ({
      createTask: async (task, options = {}) => {
        const { maxActiveTasks = Infinity } = options;
        if ((await tasks.countActiveTasks()) >= maxActiveTasks) {
          throw new TaskLimitReachedError(maxActiveTasks, 'Full');
        }
        return tasks.createTask(task, options);
      },
    })),
  },
  {
    mistake: 'keeps the id of a deleted task taken',
    caughtBy: 'begins anew when the task was deleted or cleaned up',
    breakStorage: inTasks((tasks) => {
      const taken = new Set<string>();
      return {
        createTask: async (task, options) =>
          !taken.has(task.taskId) && tasks.createTask(task, options),
        deleteTask: async (taskId) => {
          taken.add(taskId);
          return tasks.deleteTask(taskId);
        },
      };
    }),
  },
  {
    mistake: 'answers true to everybody who creates an id',
    caughtBy: 'gives the lease to the one that answers true',
    breakStorage: inTasks((tasks) => ({
      createTask: async (task, options) => (await tasks.createTask(task, options)) || true,
    })),
  },
];
