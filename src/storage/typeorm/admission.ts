import { ACTIVE_STATUSES } from '../../task/task-lifecycle.js';
import type { SchemaNames } from './schema-names.js';
import { sqlLiterals } from './sql-parameters.js';

/* What counts tasks before it lets another in. */

/** How long one who has the turn waits for a row that somebody else keeps, such as an id not yet committed. */
const MAX_LOCK_WAIT_MS = 500;

/**
 * SQL that lets those who count and then write take turns, until the transaction ends, so that each
 * counts what the one before it wrote. Without parameters, so that it can begin the transaction.
 */
export function lockAdmission(names: SchemaNames): string {
  const key = sqlLiterals([names.lock('admit')]);
  // Who has the turn must not wait long for a row of somebody else, because all others wait for it.
  return `SELECT pg_advisory_xact_lock(hashtextextended(${key}, 0));
    SET LOCAL lock_timeout = ${MAX_LOCK_WAIT_MS}`;
}

/** How many tasks may be active, where there is a limit. */
export interface ActiveLimits {
  readonly maxActiveTasks: number | null;
  readonly maxActiveTasksPerTenant: number | null;
}

export function hasLimit(limits: ActiveLimits): boolean {
  return limits.maxActiveTasks !== null || limits.maxActiveTasksPerTenant !== null;
}

/** The limits as parts of the statement that inserts the rows of `input`. */
export interface Admission {
  readonly parts: readonly string[];
  /** The part that holds the rows of `input` for which there is room. */
  readonly admitted: string;
  /** What says why a row is not among them, and the joins that it needs. */
  readonly answers: string;
  readonly joins: string;
}

/**
 * Admits the rows of `input` in their order, as far as there is room. A row whose id is taken needs
 * none. Answers for each row `taken` and `admitted`, and of the time before all of them `active` and
 * `tenant_active`.
 *
 * @param before how many parameters come before the two limits, of which either may be `NULL`
 */
export function admitRows(names: SchemaNames, before: number): Admission {
  // Literals, because the planner takes the partial index only for what it can read.
  const active = `${names.tasks} WHERE status IN (${sqlLiterals(ACTIVE_STATUSES)})`;
  const limit = `$${before + 1}::bigint`;
  const tenantLimit = `$${before + 2}::bigint`;
  return {
    parts: [
      // Without a limit nothing is counted.
      `counted AS (
        SELECT CASE WHEN ${limit} IS NULL THEN 0 ELSE (SELECT COUNT(*) FROM ${active}) END AS active
      )`,
      `counted_by_tenant AS (
        SELECT tenant_id, COUNT(*) AS active FROM ${active}
          AND ${tenantLimit} IS NOT NULL AND tenant_id = ANY (ARRAY(SELECT tenant_id FROM input))
        GROUP BY tenant_id
      )`,
      `wanted AS (
        SELECT input.*, counted_by_tenant.active AS tenant_active, EXISTS (
          SELECT 1 FROM ${names.tasks} AS task WHERE task.task_id = input.task_id
        ) AS taken
        FROM input LEFT JOIN counted_by_tenant USING (tenant_id)
      )`,
      `within_tenant AS (
        SELECT *, COALESCE(tenant_active, 0)
          + ROW_NUMBER() OVER (PARTITION BY tenant_id ORDER BY position) AS tenant_place
        FROM wanted WHERE NOT taken
      )`,
      `within AS (
        SELECT *, (SELECT active FROM counted) + ROW_NUMBER() OVER (ORDER BY position) AS place
        FROM within_tenant
        WHERE (tenant_place <= ${tenantLimit}) IS NOT FALSE
      )`,
      `admitted AS (SELECT * FROM within WHERE (place <= ${limit}) IS NOT FALSE)`,
    ],
    admitted: 'admitted',
    answers: `wanted.taken, admitted.position IS NOT NULL AS admitted, (SELECT active FROM counted) AS active,
        COALESCE(wanted.tenant_active, 0) AS tenant_active`,
    joins: `JOIN wanted ON wanted.position = input.position
      LEFT JOIN admitted ON admitted.position = input.position`,
  };
}
