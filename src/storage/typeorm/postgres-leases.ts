import { parseClaimExpired, parseClaimQueued, parseRenewal } from '../../task/lease-input.js';
import type {
  ClaimedTask,
  ClaimExpiredOptions,
  ClaimQueuedOptions,
  RenewLeasesOptions,
  TaskLeases,
} from '../../task/task-lease.js';
import { lockAdmission } from './admission.js';
import {
  claimExpiredTasks,
  claimQueuedTasks,
  findQueued,
  renewLeases,
} from './lease-statements.js';
import type { SqlRow } from './postgres-connection.js';
import type { PostgresContext } from './postgres-context.js';
import { nullable, readNumber, readTask, readText } from './task-rows.js';
import { endUnreadable, readEach } from './unreadable-rows.js';

/** The leases on the tasks of all tenants. */
export class PostgresLeases implements TaskLeases {
  constructor(private readonly context: PostgresContext) {}

  async claimQueued(options: ClaimQueuedOptions): Promise<readonly ClaimedTask[]> {
    const parsed = parseClaimQueued(options);
    const { connection, names } = this.context;
    // Most of the time nothing waits, and asking must not make others wait for the lock.
    const [found] = await connection.send(findQueued(names));
    if (found?.['waiting'] !== true) {
      return [];
    }
    const rows = await connection.transaction(lockAdmission(names), async (send) =>
      send(claimQueuedTasks(names, parsed)),
    );
    return this.#claimed(rows, parsed.owner);
  }

  async claimExpired(options: ClaimExpiredOptions): Promise<readonly ClaimedTask[]> {
    const parsed = parseClaimExpired(options);
    const { connection, names } = this.context;
    return this.#claimed(await connection.send(claimExpiredTasks(names, parsed)), parsed.owner);
  }

  async renew(options: RenewLeasesOptions): Promise<ReadonlyMap<string, number>> {
    const { connection, names } = this.context;
    const rows = await connection.send(renewLeases(names, parseRenewal(options)));
    // One without a number of its attempt is not renewed, as far as its owner is told.
    const { read } = readEach(rows, (row): [string, number] => [
      readText(row, 'task_id'),
      readNumber(row, 'attempt'),
    ]);
    return new Map(read);
  }

  async #claimed(rows: readonly SqlRow[], owner: string): Promise<readonly ClaimedTask[]> {
    const { read: claimed, unreadable } = readEach(rows, (row) => ({
      task: readTask(row),
      lostOwner: nullable(row, 'lost_owner', readText),
    }));
    // Nobody can run them, and left as they are they would be claimed again and again.
    await Promise.all(unreadable.map(async (row) => endUnreadable(this.context, owner, row)));
    claimed.forEach(({ task: { taskId } }) => {
      this.context.changes.announce({ kind: 'written', taskId });
    });
    return claimed;
  }
}
