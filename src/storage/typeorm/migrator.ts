import { MigrationExecutor, type DataSource, type QueryRunner } from 'typeorm';
import { TaskStorageError } from '../../task/errors.js';
import { createMigrationDataSource } from './data-source.js';
import { createMigrations } from './migrations/index.js';
import type { MigrationClass } from './migrations/migration-class.js';
import { toTaskStorageError } from './postgres-errors.js';
import type { PostgresConnection } from './postgres-connection.js';
import { quoteIdentifier, type SchemaNames } from './schema-names.js';

/** What bringing the tables up to date needs to know. */
export interface MigratorOptions {
  readonly migrations: 'auto' | 'manual';
  readonly adoptedTimeZone: string;
  readonly lockTimeoutMs: number;
}

/**
 * Makes sure that the tables are those this version works with.
 *
 * @throws {TaskStorageError} `MISCONFIGURED` when they are newer than this version, or missing or
 *   older and not to be changed
 */
export async function prepareSchema(
  dataSource: DataSource,
  connection: PostgresConnection,
  names: SchemaNames,
  options: MigratorOptions,
): Promise<void> {
  const migrations = createMigrations(names, options.adoptedTimeZone);
  const known = migrations.map((migration) => new migration().name);
  const missing = missingMigrations(known, await executedMigrations(connection, names), names);
  if (missing.length === 0) {
    return;
  }
  if (options.migrations === 'manual') {
    throw new TaskStorageError(
      'MISCONFIGURED',
      `The tables ${names.tasks} lack the migrations ${missing.join(', ')}; start once with TASK_STORAGE_MIGRATIONS=auto and an account that may change tables`,
    );
  }
  await runMigrations(dataSource, names, migrations, options.lockTimeoutMs);
  const left = missingMigrations(known, await executedMigrations(connection, names), names);
  if (left.length > 0) {
    throw new TaskStorageError('INTERNAL', `The migrations ${left.join(', ')} did not take effect`);
  }
}

function missingMigrations(
  known: readonly string[],
  executed: readonly string[],
  names: SchemaNames,
): readonly string[] {
  const unknown = executed.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new TaskStorageError(
      'MISCONFIGURED',
      `The tables ${names.tasks} are newer than this version of nestjs-task-storage, which does not know ${unknown.join(', ')}; update the package`,
    );
  }
  return known.filter((name) => !executed.includes(name));
}

async function executedMigrations(
  connection: PostgresConnection,
  names: SchemaNames,
): Promise<readonly string[]> {
  const [table] = await connection.send({
    text: 'SELECT to_regclass($1) IS NOT NULL AS present',
    values: [names.migrations],
  });
  if (table?.['present'] !== true) {
    return [];
  }
  const rows = await connection.send({
    text: `SELECT name::text FROM ${names.migrations} ORDER BY id`,
    values: [],
  });
  return rows.map((row) => String(row['name']));
}

/** Runs what is missing. Of several processes that start at once, one does it; the others wait. */
async function runMigrations(
  base: DataSource,
  names: SchemaNames,
  migrations: MigrationClass[],
  lockTimeoutMs: number,
): Promise<void> {
  const dataSource = createMigrationDataSource(
    base,
    migrations,
    names.migrationsTable,
    names.schema,
    lockTimeoutMs,
  );
  try {
    await dataSource.initialize();
    const runner = dataSource.createQueryRunner('master');
    try {
      await migrateUnderLock(dataSource, runner, names);
    } finally {
      await runner.release();
    }
  } catch (error) {
    throw toTaskStorageError(error);
  } finally {
    if (dataSource.isInitialized) {
      // Ends the session, and with it the lock.
      await dataSource.destroy();
    }
  }
}

async function migrateUnderLock(
  dataSource: DataSource,
  runner: QueryRunner,
  names: SchemaNames,
): Promise<void> {
  await runner.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [names.lock('migrate')]);
  const schemas: unknown = await runner.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [
    names.schema,
  ]);
  if (Array.isArray(schemas) && schemas.length === 0) {
    // Storages with other tables may be creating the same schema.
    await runner.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [
      `nestjs-task-storage:schema:${names.schema}`,
    ]);
    await runner.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(names.schema)}`);
  }
  const executor = new MigrationExecutor(dataSource, runner);
  executor.transaction = 'each';
  await executor.executePendingMigrations();
}
