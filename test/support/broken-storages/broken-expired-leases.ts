import { setTimeout as delay } from 'node:timers/promises';
import type { ClaimedTask } from '../../../src/task/task-lease.js';
import { inLeases, list, ownersOf, replace, type BrokenStorage } from './breaking.js';

/** So short a lease is over before anything else is done. */
const HARDLY_ANY_MS = 1;

/** Mistakes in taking over leases that have ended. */
export const brokenExpiredLeases: readonly BrokenStorage[] = [
  {
    mistake: 'claims leases that have not ended',
    caughtBy: 'are the only ones that are claimed',
    breakStorage: inLeases((leases, storage) => ({
      claimExpired: async (options) => {
        for (const owner of await ownersOf(storage)) {
          await leases.renew({ owner, leaseMs: HARDLY_ANY_MS });
        }
        await delay(2 * HARDLY_ANY_MS);
        return leases.claimExpired(options);
      },
    })),
  },
  {
    mistake: 'claims the tasks first whose leases ended last',
    caughtBy: 'are claimed in the order of their ends, as many as the limit says',
    breakStorage: inLeases((leases) => ({
      claimExpired: async (options) => (await leases.claimExpired(options)).toReversed(),
    })),
  },
  {
    mistake: 'lets nobody wait who cannot run a task',
    caughtBy: 'of a task that may be attempted again wait for who can',
    breakStorage: inLeases((leases) => ({
      claimExpired: (options) => leases.claimExpired({ ...options, resumableAfterMs: 0 }),
    })),
  },
  {
    mistake: 'does not know that a queued task was never run',
    caughtBy: 'of a queued task that nobody has ever run wait for who can, too',
    breakStorage: inLeases((leases, storage) => ({
      claimExpired: async (options) => {
        const claimed = await leases.claimExpired(options);
        const { tasks } = await list(storage, { status: 'pending' });
        const queued = tasks.filter(
          ({ queuedAt, leaseExpiresAt }) => queuedAt && Number(leaseExpiresAt) <= Date.now(),
        );
        return [...claimed, ...queued.map((task) => ({ task, lostOwner: task.leaseOwner }))];
      },
    })),
  },
  {
    mistake: 'starts a task that it claims',
    caughtBy: 'give a pending task to who claims it, as it is',
    breakStorage: inLeases((leases, storage) => ({
      claimExpired: async (options) => {
        const claimed = await leases.claimExpired(options);
        for (const { task } of claimed) {
          await storage.updateTask(task.taskId, { status: 'running' });
        }
        return claimed;
      },
    })),
  },
  {
    mistake: 'answers the task as it was before the claim',
    caughtBy: 'give a running task to who claims it, as it is',
    breakStorage: inLeases((leases) => ({
      claimExpired: async (options) =>
        (await leases.claimExpired(options)).map(({ task, lostOwner }) => ({
          task: { ...task, leaseOwner: lostOwner, attempt: task.attempt - 1 },
          lostOwner,
        })),
    })),
  },
  {
    mistake: 'does not raise the attempt',
    caughtBy: 'raise the attempt with each claim',
    breakStorage: inLeases((leases) => ({
      claimExpired: async (options) =>
        (await leases.claimExpired(options)).map((one) => ({
          ...one,
          task: { ...one.task, attempt: 1 },
        })),
    })),
  },
  {
    mistake: 'looks for expired leases and then claims them',
    caughtBy: 'go to one of a crowd of claimers each',
    breakStorage: (storage) => {
      const { leases } = storage;
      let looking: Promise<readonly ClaimedTask[]> | null = null;
      return replace(storage, {
        leases: replace(leases, {
          claimExpired: async (options) => {
            looking ??= leases.claimExpired(options);
            const found = await looking;
            looking = null;
            return found;
          },
        }),
      });
    },
  },
  {
    mistake: 'claims stale tasks of others without being asked',
    caughtBy: 'say when a task that nobody holds has been running for too long',
    breakStorage: inLeases((leases) => ({
      claimExpired: (options) => leases.claimExpired({ staleRunningMinutes: 60, ...options }),
    })),
  },
  {
    mistake: 'never claims stale tasks',
    caughtBy: 'give stale tasks to one of a crowd each, as many as the limit says',
    breakStorage: inLeases((leases) => ({
      claimExpired: (options) =>
        leases.claimExpired({ ...options, staleRunningMinutes: undefined }),
    })),
  },
];
