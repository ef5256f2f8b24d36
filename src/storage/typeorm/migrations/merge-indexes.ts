import type { MigrationInterface, QueryRunner } from 'typeorm';
import { quoteIdentifier, type SchemaNames } from '../schema-names.js';
import { refuseToGoBack, type MigrationClass } from './migration-class.js';

/** From the indexes of the original service to those of ours that begin with the same columns. */
const SUPERSEDED = { status: 'status_newest', created_at: 'newest' };

/**
 * Drops the two indexes that others of ours contain, which saves every write two of its index entries.
 * Ours take their names, so that the original service, which makes them unless there are indexes of
 * those names, finds them there.
 */
export function mergeIndexes(names: SchemaNames): MigrationClass {
  return class implements MigrationInterface {
    readonly name = 'MergeIndexes1763856000005';

    async up(runner: QueryRunner): Promise<void> {
      for (const [original, ours] of Object.entries(SUPERSEDED)) {
        const inSchema = (name: string): string =>
          `${quoteIdentifier(names.schema)}.${names.index(name)}`;
        await runner.query(`DROP INDEX IF EXISTS ${inSchema(original)}`);
        await runner.query(`ALTER INDEX ${inSchema(ours)} RENAME TO ${names.index(original)}`);
      }
    }

    readonly down = refuseToGoBack;
  };
}
