import type { MigrationInterface, QueryRunner } from 'typeorm';
import { ACTIVE_STATUSES } from '../../../task/task-lifecycle.js';
import type { SchemaNames } from '../schema-names.js';
import { sqlLiterals } from '../sql-parameters.js';
import { refuseToGoBack, type MigrationClass } from './migration-class.js';

/**
 * Adds the indexes of leases and of the queue. A migration of its own, so that reading through and
 * indexing a large table keeps writers waiting but no readers.
 */
export function createLeaseIndexes(names: SchemaNames): MigrationClass {
  return class implements MigrationInterface {
    readonly name = 'CreateLeaseIndexes1763856000004';

    async up(runner: QueryRunner): Promise<void> {
      // Owners of earlier versions renew nothing: whoever holds a task now has lost it.
      await runner.query(
        `UPDATE ${names.tasks} SET lease_expires_at = NOW() WHERE lease_owner IS NOT NULL`,
      );
      const queued = `status = 'pending' AND queued_at IS NOT NULL AND lease_owner IS NULL`;
      const indexes: Readonly<Record<string, string>> = {
        // For renewals and the search for what has expired. The time of expiry is in no index, so
        // that a renewal changes none (a heap-only update). The original service ends tasks without
        // clearing the owner; the status keeps those out.
        leased: `(lease_owner)
          WHERE lease_owner IS NOT NULL AND status IN (${sqlLiterals(ACTIVE_STATUSES)})`,
        // Holds what can be claimed and nothing else, so that the next task is always in front.
        queue: `(queued_at, task_id COLLATE "C") WHERE ${queued}`,
        // The same for each tenant, so that one with a long queue is passed over in one step.
        tenant_queue: `(tenant_id, queued_at, task_id COLLATE "C") WHERE ${queued}`,
      };
      for (const [name, definition] of Object.entries(indexes)) {
        await runner.query(`CREATE INDEX ${names.index(name)} ON ${names.tasks} ${definition}`);
      }
    }

    readonly down = refuseToGoBack;
  };
}
