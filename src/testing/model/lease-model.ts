import type {
  ClaimExpiredOptions,
  ClaimQueuedOptions,
  HeldLease,
  RenewLeasesOptions,
} from '../../task/task-lease.js';
import { LONG_LEASE_MS } from '../lease-samples.js';
import type { LeaseGuard } from './operation.js';
import type { ModelTask, TaskModel } from './task-model.js';

/** The tasks in an order that the storage has chosen. */
export type Order = (left: ModelTask, right: ModelTask) => number;

const MINUTES_PER_DAY = 1440;

/** The leases of the contract in their plainest form, on the tasks of a model. */
export class LeaseModel {
  constructor(private readonly model: TaskModel) {}

  /** @returns the ids of the tasks that a claim takes, in their order */
  chooseQueued(order: Order, options: ClaimQueuedOptions): string[] {
    const { limit, maxHeldTasks = Infinity, maxHeldTasksPerTenant = Infinity } = options;
    const held = this.#active().filter(
      ({ fields }) => fields.status === 'running' || fields.hasLease,
    );
    const chosen: string[] = [];
    for (const task of this.#active().filter(isWaiting).toSorted(order)) {
      const { taskId, tenantId } = task.fields;
      const heldByTenant = held.filter(({ fields }) => fields.tenantId === tenantId).length;
      if (
        chosen.length < limit &&
        held.length < maxHeldTasks &&
        heldByTenant < maxHeldTasksPerTenant
      ) {
        chosen.push(taskId);
        held.push(task);
      }
    }
    return chosen;
  }

  /** @returns every task that a claim without a limit takes: whose lease has ended, and without any */
  expired(options: ClaimExpiredOptions): { leased: ModelTask[]; stale: ModelTask[] } {
    const graceDays = (options.resumableAfterMs ?? 0) / LONG_LEASE_MS;
    const staleDays = (options.staleRunningMinutes ?? Infinity) / MINUTES_PER_DAY;
    return {
      leased: this.#active().filter(
        ({ fields, daysSinceRenewal }) =>
          fields.hasLease && daysSinceRenewal >= 1 + (isRunnable(fields) ? graceDays : 0),
      ),
      stale: this.#active().filter(
        ({ fields, daysSinceUpdate }) =>
          fields.status === 'running' && !fields.hasLease && daysSinceUpdate >= staleDays,
      ),
    };
  }

  claim(taskId: string, owner: string): void {
    const task = this.model.tasks.get(taskId);
    if (task !== undefined) {
      Object.assign(task.fields, {
        leaseOwner: owner,
        hasLease: true,
        attempt: task.fields.attempt + 1,
        version: task.fields.version + 1,
      });
      Object.assign(task, { daysSinceUpdate: 0, daysSinceRenewal: 0 });
    }
  }

  /** @returns the attempts of the tasks whose leases were prolonged, by their ids */
  renew({ owner, taskIds }: RenewLeasesOptions): Map<string, number> {
    const own = this.#active().filter(
      ({ fields }) =>
        fields.leaseOwner === owner && (taskIds === undefined || taskIds.includes(fields.taskId)),
    );
    own.forEach((task) => Object.assign(task, { daysSinceRenewal: 0 }));
    return new Map(own.map(({ fields }) => [fields.taskId, fields.attempt]));
  }

  /** The lease to write with. Where nobody holds the task, it is nobody's. */
  guardOf(taskId: string, guard: LeaseGuard | undefined): HeldLease | undefined {
    const { leaseOwner, attempt } = this.model.tasks.get(taskId)?.fields ?? {};
    const held = { owner: leaseOwner ?? 'nobody', attempt: Math.max(1, attempt ?? 1) };
    const guards: Readonly<Record<LeaseGuard, HeldLease>> = {
      held,
      'of another owner': { ...held, owner: `not ${held.owner}` },
      'of another attempt': { ...held, attempt: held.attempt + 1 },
    };
    return guard && guards[guard];
  }

  #active(): ModelTask[] {
    return [...this.model.tasks.values()].filter(({ daysSinceEnd }) => daysSinceEnd === null);
  }
}

/** Has attempts left, or has never been run, which only a queued task is known for. */
function isRunnable({ attempt, maxAttempts, isQueued, status }: ModelTask['fields']): boolean {
  return attempt < maxAttempts || (isQueued && status === 'pending');
}

function isWaiting({ fields }: ModelTask): boolean {
  return fields.status === 'pending' && fields.isQueued && !fields.hasLease;
}
