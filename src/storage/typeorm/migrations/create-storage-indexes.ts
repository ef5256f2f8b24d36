import type { MigrationInterface, QueryRunner } from 'typeorm';
import { ACTIVE_STATUSES, TERMINAL_STATUSES } from '../../../task/task-lifecycle.js';
import type { SchemaNames } from '../schema-names.js';
import { sqlLiterals } from '../sql-parameters.js';
import { refuseToGoBack, type MigrationClass } from './migration-class.js';

/**
 * Adds the indexes of our statements. A migration of its own, so that building them on a large
 * adopted table keeps writers waiting but no readers.
 */
export function createStorageIndexes(names: SchemaNames): MigrationClass {
  const active = sqlLiterals(ACTIVE_STATUSES);
  const ended = sqlLiterals(TERMINAL_STATUSES);
  // Bytewise, so that the order is the same in every database, whatever its collation.
  const newestFirst = 'created_at DESC, task_id COLLATE "C" DESC';

  return class implements MigrationInterface {
    readonly name = 'CreateStorageIndexes1763856000002';

    async up(runner: QueryRunner): Promise<void> {
      const indexes: Readonly<Record<string, string>> = {
        newest: `(${newestFirst})`,
        status_newest: `(status, ${newestFirst})`,
        tenant_newest: `(tenant_id, ${newestFirst})`,
        // Counting active tasks reads this one alone, however many have ended.
        active: `(tenant_id) WHERE status IN (${active})`,
        // The cleaner follows the time of the end; rows ended by the original service lack it.
        ended: `(finished_at) WHERE finished_at IS NOT NULL`,
        ended_unseen: `(created_at) WHERE finished_at IS NULL AND status IN (${ended})`,
      };
      for (const [name, definition] of Object.entries(indexes)) {
        await runner.query(`CREATE INDEX ${names.index(name)} ON ${names.tasks} ${definition}`);
      }
    }

    readonly down = refuseToGoBack;
  };
}
