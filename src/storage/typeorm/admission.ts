import { ACTIVE_STATUSES } from '../../task/task-lifecycle.js';
import type { SchemaNames } from './schema-names.js';
import { sqlLiterals, type SqlParameters, type SqlStatement } from './sql-parameters.js';

/* What counts tasks before it lets another in. */

/**
 * Lets those who count and then write take turns, until the transaction ends, so that each counts
 * what the one before it wrote.
 */
export function lockAdmission(names: SchemaNames): SqlStatement {
  return {
    text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
    values: [names.lock('admit')],
  };
}

/** How many tasks may be active, where there is a limit. */
export interface ActiveLimits {
  readonly maxActiveTasks: number | null;
  readonly maxActiveTasksPerTenant: number | null;
}

export function hasLimit(limits: ActiveLimits): boolean {
  return limits.maxActiveTasks !== null || limits.maxActiveTasksPerTenant !== null;
}

/**
 * The limits as parts of a statement: what counts the active tasks (`NULL` without a limit, which
 * saves the counting), and the condition under which there is room for one more of the tenant.
 */
export function activeLimits(
  names: SchemaNames,
  limits: ActiveLimits,
  tenantId: string,
  parameters: SqlParameters,
): { counts: string; room: string } {
  // Literals, because the planner takes the partial index only for what it can read.
  const count = `(SELECT COUNT(*) FROM ${names.tasks} WHERE status IN (${sqlLiterals(ACTIVE_STATUSES)})`;
  const { maxActiveTasks, maxActiveTasksPerTenant } = limits;
  const conditions: string[] = [];
  if (maxActiveTasks !== null) {
    conditions.push(`active < ${parameters.add(maxActiveTasks)}::bigint`);
  }
  if (maxActiveTasksPerTenant !== null) {
    conditions.push(`tenant_active < ${parameters.add(maxActiveTasksPerTenant)}::bigint`);
  }
  const all = maxActiveTasks === null ? 'NULL' : `${count})`;
  const ofTenant =
    maxActiveTasksPerTenant === null
      ? 'NULL'
      : `${count} AND tenant_id = ${parameters.add(tenantId)})`;
  return {
    counts: `SELECT ${all}::int AS active, ${ofTenant}::int AS tenant_active`,
    room: conditions.join(' AND '),
  };
}
