import type { MigrationInterface, QueryRunner } from 'typeorm';
import { TaskStorageError } from '../../../task/errors.js';
import { quoteIdentifier, type SchemaNames } from '../schema-names.js';
import { refuseToGoBack, type MigrationClass } from './migration-class.js';

/** What a table of every version of the original service has. */
const ORIGINAL_COLUMNS = ['task_id', 'status', 'query', 'max_steps', 'created_at', 'updated_at'];

/**
 * Creates the table of the original service, or adopts it where it is: adds the column that older
 * installations lack, and gives its two times a zone. The original service keeps working on it.
 */
export function createOriginalTable(names: SchemaNames, adoptedTimeZone: string): MigrationClass {
  return class implements MigrationInterface {
    readonly name = 'CreateOriginalTable1763856000000';

    async up(runner: QueryRunner): Promise<void> {
      await this.#assertOriginal(runner);
      await runner.query(`
        CREATE TABLE IF NOT EXISTS ${names.tasks} (
          task_id VARCHAR(255) PRIMARY KEY,
          status VARCHAR(50) NOT NULL,
          query TEXT NOT NULL,
          max_steps INTEGER NOT NULL,
          final_state VARCHAR(50),
          timestamp_dir TEXT,
          execution_statistics JSONB,
          sandbox_info JSONB,
          request_data JSONB,
          conversation_history JSONB,
          created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
          updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
        )`);
      await runner.query(
        `ALTER TABLE ${names.tasks} ADD COLUMN IF NOT EXISTS conversation_history JSONB`,
      );
      await this.#addZone(runner);
      for (const column of ['status', 'created_at']) {
        await runner.query(
          `CREATE INDEX IF NOT EXISTS ${names.index(column)} ON ${names.tasks} (${column})`,
        );
      }
    }

    readonly down = refuseToGoBack;

    /** A table of this name that is something else must not be changed. */
    async #assertOriginal(runner: QueryRunner): Promise<void> {
      const columns: { column_name: string }[] = await runner.query(
        `SELECT column_name::text FROM information_schema.columns
         WHERE table_schema = $1 AND table_name = $2`,
        [names.schema, names.table],
      );
      const found = new Set(columns.map(({ column_name }) => column_name));
      const missing = ORIGINAL_COLUMNS.filter((column) => !found.has(column));
      if (found.size > 0 && missing.length > 0) {
        throw new TaskStorageError(
          'MISCONFIGURED',
          `${names.tasks} is not a table of tasks: it lacks ${missing.join(', ')}; choose another table (POSTGRES_TABLE)`,
        );
      }
    }

    /**
     * Reads the stored times as of the given zone. The conversion uses the session's zone instead
     * of AT TIME ZONE, because Postgres then skips rewriting the table when that zone is UTC.
     */
    async #addZone(runner: QueryRunner): Promise<void> {
      const columns: { column_name: string }[] = await runner.query(
        `SELECT column_name::text FROM information_schema.columns
         WHERE table_schema = $1 AND table_name = $2
           AND column_name IN ('created_at', 'updated_at')
           AND data_type = 'timestamp without time zone'`,
        [names.schema, names.table],
      );
      if (columns.length === 0) {
        return;
      }
      await this.#setZone(runner);
      const changes = columns.map(
        ({ column_name }) => `ALTER COLUMN ${quoteIdentifier(column_name)} TYPE TIMESTAMPTZ`,
      );
      await runner.query(`ALTER TABLE ${names.tasks} ${changes.join(', ')}`);
    }

    async #setZone(runner: QueryRunner): Promise<void> {
      try {
        await runner.query(`SELECT set_config('TimeZone', $1, true)`, [adoptedTimeZone]);
      } catch (error) {
        throw new TaskStorageError(
          'MISCONFIGURED',
          `adoptedTimeZone (POSTGRES_ADOPTED_TIME_ZONE) is ${JSON.stringify(adoptedTimeZone)}; write a zone that Postgres knows, such as UTC or Europe/Berlin`,
          { cause: error },
        );
      }
    }
  };
}
