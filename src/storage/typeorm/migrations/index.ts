import type { SchemaNames } from '../schema-names.js';
import { createLeaseColumns } from './create-lease-columns.js';
import { createLeaseIndexes } from './create-lease-indexes.js';
import { createOriginalTable } from './create-original-table.js';
import { createStorageColumns } from './create-storage-columns.js';
import { createStorageIndexes } from './create-storage-indexes.js';
import { mergeIndexes } from './merge-indexes.js';
import type { MigrationClass } from './migration-class.js';

/**
 * Every migration, the oldest first. They only go forward: once released, a migration is never
 * changed, because databases exist that ran it as it was.
 *
 * @param adoptedTimeZone the zone of the times in a table of the original service, such as `UTC`
 */
export function createMigrations(names: SchemaNames, adoptedTimeZone: string): MigrationClass[] {
  return [
    createOriginalTable(names, adoptedTimeZone),
    createStorageColumns(names),
    createStorageIndexes(names),
    createLeaseColumns(names),
    createLeaseIndexes(names),
    mergeIndexes(names),
  ];
}
