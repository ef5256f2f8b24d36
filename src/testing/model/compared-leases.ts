import assert from 'node:assert/strict';
import type {
  ClaimedTask,
  ClaimExpiredOptions,
  ClaimQueuedOptions,
  RenewLeasesOptions,
} from '../../task/task-lease.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { assertSame } from '../assertions.js';
import { LeaseModel, type Order } from './lease-model.js';
import type { Observation, TimeEffect } from './observation.js';
import type { TaskModel } from './task-model.js';

/** The leases of a storage and of its model. Each comparison fails unless both say the same. */
export class ComparedLeases {
  readonly model: LeaseModel;

  constructor(
    private readonly storage: TaskStorage,
    private readonly tasks: TaskModel,
    private readonly seen: Observation,
  ) {
    this.model = new LeaseModel(tasks);
  }

  async claimQueued(options: ClaimQueuedOptions): Promise<TimeEffect> {
    const claimed = await this.storage.leases.claimQueued(options);
    const order = this.#orderBy('queuedAt', idsOf(claimed));
    assertSame(idsOf(claimed), this.model.chooseQueued(order, options), 'The tasks claimed');
    return this.#follow(claimed, options.owner);
  }

  async claimExpired(options: ClaimExpiredOptions): Promise<TimeEffect> {
    const claimed = await this.storage.leases.claimExpired(options);
    const ids = idsOf(claimed);
    const { leased, stale } = this.model.expired(options);
    assert.equal(ids.length, Math.min(options.limit, leased.length + stale.length));
    for (const [candidates, field] of [
      [leased, 'leaseExpiresAt'],
      [stale, 'updatedAt'],
    ] as const) {
      const expected = candidates
        .toSorted(this.#orderBy(field, ids))
        .map((one) => one.fields.taskId);
      const found = ids.filter((taskId) => expected.includes(taskId));
      assertSame(found, expected.slice(0, found.length), `The tasks claimed, by ${field}`);
    }
    return this.#follow(claimed, options.owner);
  }

  async renew(options: RenewLeasesOptions): Promise<TimeEffect> {
    const expected = this.model.renew(options);
    const renewed = await this.storage.leases.renew(options);
    assertSame(Object.fromEntries(renewed), Object.fromEntries(expected));
    return { updated: [], leased: [...expected.keys()], allMoved: false };
  }

  /** Among tasks of the same time the storage may choose; the model follows. */
  #orderBy(field: 'queuedAt' | 'leaseExpiresAt' | 'updatedAt', claimed: string[]): Order {
    const timeOf = (taskId: string): number => this.seen.find(taskId)?.[field]?.getTime() ?? 0;
    const rankOf = (taskId: string): number => claimed.indexOf(taskId) + 1 || Infinity;
    return ({ fields: { taskId: left } }, { fields: { taskId: right } }) =>
      timeOf(left) - timeOf(right) || compareRanks(rankOf(left), rankOf(right));
  }

  async #follow(claimed: readonly ClaimedTask[], owner: string): Promise<TimeEffect> {
    for (const { task, lostOwner } of claimed) {
      const before = this.tasks.tasks.get(task.taskId)?.fields.leaseOwner;
      assert.equal(lostOwner, before, `The lost owner of ${task.taskId}`);
      this.model.claim(task.taskId, owner);
      assertSame(task, await this.storage.getTask(task.taskId));
    }
    return { updated: idsOf(claimed), leased: idsOf(claimed), allMoved: false };
  }
}

function idsOf(claimed: readonly ClaimedTask[]): string[] {
  return claimed.map(({ task }) => task.taskId);
}

/** Infinity minus infinity is no number. */
function compareRanks(left: number, right: number): number {
  return left === right ? 0 : left - right;
}
