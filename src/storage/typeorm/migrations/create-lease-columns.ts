import type { MigrationInterface, QueryRunner } from 'typeorm';
import type { SchemaNames } from '../schema-names.js';
import { refuseToGoBack, type MigrationClass } from './migration-class.js';

/**
 * Adds what leases and the queue need. Every column is nullable or has a default, because the
 * original service goes on inserting rows without them.
 */
export function createLeaseColumns(names: SchemaNames): MigrationClass {
  return class implements MigrationInterface {
    readonly name = 'CreateLeaseColumns1763856000003';

    async up(runner: QueryRunner): Promise<void> {
      await runner.query(`
        ALTER TABLE ${names.tasks}
          ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0,
          ADD COLUMN max_attempts INTEGER NOT NULL DEFAULT 1,
          ADD COLUMN lease_expires_at TIMESTAMPTZ,
          ADD COLUMN queued_at TIMESTAMPTZ,
          ADD COLUMN sealed_request TEXT`);
    }

    readonly down = refuseToGoBack;
  };
}
