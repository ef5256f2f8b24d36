import type { MigrationInterface, QueryRunner } from 'typeorm';
import { RESERVED_SETTING_PREFIX } from '../../../task/task-input.js';
import { DEFAULT_TENANT_ID } from '../../../task/task.js';
import type { SchemaNames } from '../schema-names.js';
import { refuseToGoBack, type MigrationClass } from './migration-class.js';

/** The name of the setting that holds the key of page tokens. */
export const PAGE_TOKEN_KEY_SETTING = `${RESERVED_SETTING_PREFIX}page-token-key`;

/**
 * Adds what the original does not have. Every column is nullable or has a default, because the
 * original service goes on inserting rows without them.
 */
export function createStorageColumns(names: SchemaNames): MigrationClass {
  return class implements MigrationInterface {
    readonly name = 'CreateStorageColumns1763856000001';

    async up(runner: QueryRunner): Promise<void> {
      await this.#extendTasks(runner);
      await this.#createEvents(runner);
      await this.#createSettings(runner);
    }

    readonly down = refuseToGoBack;

    async #extendTasks(runner: QueryRunner): Promise<void> {
      await runner.query(`
        ALTER TABLE ${names.tasks}
          ADD COLUMN tenant_id VARCHAR(255) NOT NULL DEFAULT '${DEFAULT_TENANT_ID}',
          ADD COLUMN version INTEGER NOT NULL DEFAULT 1,
          ADD COLUMN last_event_sequence INTEGER NOT NULL DEFAULT 0,
          ADD COLUMN result TEXT,
          ADD COLUMN error TEXT,
          ADD COLUMN lease_owner VARCHAR(255),
          ADD COLUMN started_at TIMESTAMPTZ,
          ADD COLUMN finished_at TIMESTAMPTZ`);
      // Leaves room on each page for the new versions of its rows (heap-only updates).
      await runner.query(`ALTER TABLE ${names.tasks} SET (fillfactor = 80)`);
    }

    async #createEvents(runner: QueryRunner): Promise<void> {
      await runner.query(`
        CREATE TABLE ${names.events} (
          task_id VARCHAR(255) NOT NULL REFERENCES ${names.tasks} (task_id) ON DELETE CASCADE,
          sequence INTEGER NOT NULL,
          stage VARCHAR(255) NOT NULL,
          message TEXT NOT NULL,
          status VARCHAR(50),
          created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
          PRIMARY KEY (task_id, sequence)
        )`);
    }

    async #createSettings(runner: QueryRunner): Promise<void> {
      await runner.query(`
        CREATE TABLE ${names.settings} (
          name VARCHAR(255) PRIMARY KEY,
          value JSONB NOT NULL,
          version INTEGER NOT NULL DEFAULT 1,
          updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
        )`);
      await runner.query(
        `INSERT INTO ${names.settings} (name, value)
         VALUES ($1, jsonb_build_object('key', gen_random_uuid()::text || gen_random_uuid()::text))`,
        [PAGE_TOKEN_KEY_SETTING],
      );
    }
  };
}
