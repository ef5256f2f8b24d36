import { LeaseLostError } from '../../../src/task/errors.js';
import { isTerminal } from '../../../src/task/task-lifecycle.js';
import type { TaskOperations } from '../../../src/task/task-storage.js';
import type { Task } from '../../../src/task/task.js';
import { inLeases, inTasks, ownersOf, type BrokenStorage } from './breaking.js';

/** Answers a field of an ended task as it was before the end. */
function rememberingAfterTheEnd(
  field: 'leaseOwner' | 'leaseExpiresAt' | 'sealedRequest',
): (tasks: TaskOperations) => Partial<TaskOperations> {
  const last = new Map<string, Task>();
  return (tasks) => ({
    getTask: async (taskId) => {
      const task = await tasks.getTask(taskId);
      if (task === null || !isTerminal(task.status)) {
        return task && last.set(taskId, task) && task;
      }
      return { ...task, [field]: last.get(taskId)?.[field] ?? null };
    },
  });
}

const ignoresAttempts = inTasks((tasks) => ({
  updateTask: async (taskId, updates, { lease, ...others } = {}) => {
    const attempt = (await tasks.getTask(taskId))?.attempt || 1;
    return tasks.updateTask(taskId, updates, { ...others, lease: lease && { ...lease, attempt } });
  },
}));

const renewsForAll = inLeases((leases, storage) => ({
  renew: async (options) => {
    for (const owner of await ownersOf(storage)) {
      await leases.renew({ ...options, owner });
    }
    return leases.renew(options);
  },
}));

/** Mistakes in holding, guarding and renewing leases. */
export const brokenLeases: readonly BrokenStorage[] = [
  {
    mistake: 'does not look at the lease of an update',
    caughtBy: 'let nobody else write, and nothing of what came along',
    breakStorage: inTasks((tasks) => ({
      updateTask: (taskId, updates, options) =>
        tasks.updateTask(taskId, updates, { ...options, lease: undefined }),
    })),
  },
  {
    mistake: 'does not look where the writer of an update left the log',
    caughtBy: 'are added only where the writer has left the log',
    breakStorage: inTasks((tasks) => ({
      updateTask: (taskId, updates, options) =>
        tasks.updateTask(taskId, updates, { ...options, expectedSequence: undefined }),
    })),
  },
  {
    mistake: 'does not look where the writer of an event left the log',
    caughtBy: 'that are repeated by many are added once',
    breakStorage: inTasks((tasks) => ({
      appendEvents: (taskId, events, options) =>
        tasks.appendEvents(taskId, events, { ...options, expectedSequence: undefined }),
    })),
  },
  {
    mistake: 'does not look at the lease of an event',
    caughtBy: 'fence off the owner that lost one',
    breakStorage: inTasks((tasks) => ({
      appendEvents: (taskId, events, options) =>
        tasks.appendEvents(taskId, events, { ...options, lease: undefined }),
    })),
  },
  {
    mistake: 'looks at the owner of a lease and not at its attempt',
    caughtBy: 'fence off an owner that lost one and got it back',
    breakStorage: ignoresAttempts,
  },
  {
    mistake: 'looks at the owner of a lease alone, whatever happens',
    caughtBy: 'random operations > are answered as a plain model',
    breakStorage: ignoresAttempts,
  },
  {
    mistake: 'looks at the lease, and then at the version and the status',
    caughtBy: 'are looked at last',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options = {}) => {
        const { lease } = options;
        const task = await tasks.getTask(taskId);
        if (task !== null && lease !== undefined && lease.owner !== task.leaseOwner) {
          throw new LeaseLostError(taskId, lease, task.leaseOwner, task.attempt);
        }
        return tasks.updateTask(taskId, updates, options);
      },
    })),
  },
  {
    mistake: 'takes a lease for lost as soon as it has ended',
    caughtBy: 'are held on when they have ended, until somebody takes them over',
    breakStorage: inTasks((tasks) => ({
      updateTask: async (taskId, updates, options = {}) => {
        const task = await tasks.getTask(taskId);
        if (task !== null && options.lease && Number(task.leaseExpiresAt) <= Date.now()) {
          throw new LeaseLostError(taskId, options.lease, task.leaseOwner, task.attempt);
        }
        return tasks.updateTask(taskId, updates, options);
      },
    })),
  },
  {
    mistake: 'keeps the owner of an ended task',
    caughtBy: 'end with a task that becomes error, and so does what is sealed',
    breakStorage: inTasks(rememberingAfterTheEnd('leaseOwner')),
  },
  {
    mistake: 'keeps the end of the lease of an ended task',
    caughtBy: 'end with a task that becomes cancelled, and so does what is sealed',
    breakStorage: inTasks(rememberingAfterTheEnd('leaseExpiresAt')),
  },
  {
    mistake: 'keeps the sealed request of an ended task',
    caughtBy: 'end with a task that becomes finished, and so does what is sealed',
    breakStorage: inTasks(rememberingAfterTheEnd('sealedRequest')),
  },
  {
    mistake: 'creates tasks without the lease that is asked for',
    caughtBy: 'are held by the creator of a pending task, in its first attempt',
    breakStorage: inTasks((tasks) => ({
      createTask: (task, options) => tasks.createTask(task, { ...options, lease: undefined }),
    })),
  },
  {
    mistake: 'renews the leases of all owners',
    caughtBy: 'are renewed all at once, those of the owner alone',
    breakStorage: renewsForAll,
  },
  {
    mistake: 'renews the leases of all owners, whatever happens',
    caughtBy: 'random operations > are answered as a plain model',
    breakStorage: renewsForAll,
  },
  {
    mistake: 'renews all leases of the owner, whatever tasks it names',
    caughtBy: 'are renewed for the tasks asked for alone',
    breakStorage: inLeases((leases) => ({
      renew: ({ owner, leaseMs }) => leases.renew({ owner, leaseMs }),
    })),
  },
  {
    mistake: 'raises the version with each renewal',
    caughtBy: 'are renewed all at once, those of the owner alone',
    breakStorage: inLeases((leases, storage) => ({
      renew: async (options) => {
        const renewed = await leases.renew(options);
        await Promise.all([...renewed.keys()].map((taskId) => storage.updateTask(taskId, {})));
        return renewed;
      },
    })),
  },
];
