import type {
  ParsedClaimExpired,
  ParsedClaimQueued,
  ParsedRenewal,
} from '../../task/lease-input.js';
import { ACTIVE_STATUSES } from '../../task/task-lifecycle.js';
import type { LeaseTerm } from '../../task/task-lease.js';
import { MAX_INTEGER } from '../../task/value-parsers.js';
import type { SchemaNames } from './schema-names.js';
import { sqlLiterals, SqlParameters, type SqlStatement } from './sql-parameters.js';
import { selectTask } from './task-columns.js';

/*
 * Conditions are written with literals, as the indexes have them: the planner takes a partial index
 * only for what it can read.
 */

const ACTIVE = `status IN (${sqlLiterals(ACTIVE_STATUSES)})`;
const QUEUED = `status = 'pending' AND queued_at IS NOT NULL AND lease_owner IS NULL`;

/** Both spellings of the queue's order are one place in its index. */
const QUEUE_ORDER = 'queued_at, task_id COLLATE "C"';

/**
 * Now, for what claims: the transaction began before it waited for its lock, and what it claims may
 * be newer than that.
 */
export const CLAIM_TIME = 'statement_timestamp()';

/**
 * When a lease that begins now ends: no sooner than for an owner who counts from when it asked.
 */
function leaseEnd(leaseMs: number, parameters: SqlParameters): string {
  return `${CLAIM_TIME} + ${milliseconds(leaseMs, parameters)}`;
}

function milliseconds(value: number, parameters: SqlParameters): string {
  return `${parameters.add(value)}::int * INTERVAL '1 millisecond'`;
}

/** Looks whether any task waits to be claimed, without a lock: one row, `waiting`. */
export function findQueued(names: SchemaNames): SqlStatement {
  return {
    // Asked for the first, the planner takes the index of the queue and none that holds more.
    text: `SELECT (
        SELECT task_id FROM ${names.tasks} WHERE ${QUEUED} ORDER BY ${QUEUE_ORDER} LIMIT 1
      ) IS NOT NULL AS waiting`,
    values: [],
  };
}

/**
 * Claims queued tasks as far as there is room. Answers the claimed tasks in the order of the queue,
 * each with a `lost_owner` that is `NULL`. Counts right only under the lock of the admission.
 */
export function claimQueuedTasks(names: SchemaNames, options: ParsedClaimQueued): SqlStatement {
  const parameters = new SqlParameters();
  const { maxHeldTasks, maxHeldTasksPerTenant } = options;
  const parts: string[] = [];
  if (maxHeldTasks !== null || maxHeldTasksPerTenant !== null) {
    parts.push(heldTasks(names));
  }
  if (maxHeldTasksPerTenant !== null) {
    parts.push(...tasksWithinTenantLimit(names, parameters.add(maxHeldTasksPerTenant)));
  }
  const limit = `${parameters.add(options.limit)}::bigint`;
  const room =
    maxHeldTasks === null
      ? limit
      : `LEAST(${limit}, GREATEST(0, ${parameters.add(maxHeldTasks)}::bigint - (SELECT COUNT(*) FROM held)))`;
  parts.push(`candidate AS (
    SELECT task_id, NULL::varchar AS lost_owner, queued_at AS since
    FROM ${names.tasks} WHERE ${QUEUED}
    ${maxHeldTasksPerTenant === null ? '' : 'AND task_id = ANY (ARRAY(SELECT task_id FROM eligible))'}
    ORDER BY ${QUEUE_ORDER} LIMIT ${room} FOR UPDATE SKIP LOCKED
  )`);
  return claimCandidates(names, parts, options, parameters);
}

/**
 * The tasks that count against the limits. Two searches, because each has an index that leaves the
 * queue out, which may be long.
 */
function heldTasks(names: SchemaNames): string {
  return `held AS (
    SELECT tenant_id FROM ${names.tasks} WHERE status = 'running'
    UNION ALL
    SELECT tenant_id FROM ${names.tasks} WHERE status = 'pending' AND lease_owner IS NOT NULL
  )`;
}

/**
 * So many of each tenant's queued tasks as it may still hold: `eligible`. It goes from tenant to
 * tenant through an index, which reads few rows however many wait.
 */
function tasksWithinTenantLimit(names: SchemaNames, limit: string): readonly string[] {
  const nextTenant = (condition: string): string =>
    `(SELECT tenant_id FROM ${names.tasks} WHERE ${QUEUED} ${condition} ORDER BY tenant_id LIMIT 1)`;
  return [
    `held_by_tenant AS (SELECT tenant_id, COUNT(*) AS held FROM held GROUP BY tenant_id)`,
    `tenant AS (
      ${nextTenant('')}
      UNION ALL
      SELECT ${nextTenant('AND tenant_id > tenant.tenant_id')} FROM tenant
      WHERE tenant.tenant_id IS NOT NULL
    )`,
    `eligible AS (
      SELECT first.task_id FROM tenant LEFT JOIN held_by_tenant USING (tenant_id)
      CROSS JOIN LATERAL (
        SELECT task_id FROM ${names.tasks} AS task
        WHERE ${QUEUED} AND task.tenant_id = tenant.tenant_id
        ORDER BY ${QUEUE_ORDER} LIMIT GREATEST(0, ${limit}::bigint - COALESCE(held, 0))
      ) AS first
    )`,
  ];
}

/**
 * Claims active tasks whose lease has ended. Answers the claimed tasks, the one first whose lease
 * ended first, each with the `lost_owner` of that lease.
 */
export function claimExpiredTasks(names: SchemaNames, options: ParsedClaimExpired): SqlStatement {
  const parameters = new SqlParameters();
  const limit = parameters.add(options.limit);
  const resumable = milliseconds(options.resumableAfterMs, parameters);
  // An owner without a time is one of a version that knew no times.
  const expired = searchCandidates(
    names,
    `lease_owner IS NOT NULL AND ${ACTIVE} AND (
       lease_expires_at IS NULL
       OR lease_expires_at <= NOW() AND attempt >= max_attempts
         AND NOT (status = 'pending' AND queued_at IS NOT NULL)
       OR lease_expires_at <= NOW() - ${resumable})`,
    limit,
  );
  if (options.staleRunningMinutes === null) {
    return claimCandidates(names, [`candidate AS (${expired})`], options, parameters);
  }
  const minutes = parameters.add(options.staleRunningMinutes);
  const stale = searchCandidates(
    names,
    `status = 'running' AND lease_owner IS NULL
       AND updated_at <= NOW() - make_interval(mins => ${minutes}::int)`,
    limit,
  );
  // Each kind has an index of its own; together they would have none.
  const parts = [
    `expired AS (${expired})`,
    `stale AS (${stale})`,
    `candidate AS (
      SELECT * FROM (SELECT * FROM expired UNION ALL SELECT * FROM stale) AS lost
      ORDER BY since, task_id COLLATE "C" LIMIT ${limit}
    )`,
  ];
  return claimCandidates(names, parts, options, parameters);
}

function searchCandidates(names: SchemaNames, condition: string, limit: string): string {
  return `SELECT task_id, lease_owner AS lost_owner,
      COALESCE(lease_expires_at, updated_at) AS since
    FROM ${names.tasks} WHERE ${condition}
    ORDER BY since, task_id COLLATE "C" LIMIT ${limit} FOR UPDATE SKIP LOCKED`;
}

/** One more, unless somebody wrote so large a number that none follows, which would fail all claims. */
function nextOf(column: string): string {
  return `task.${column} + (task.${column} < ${MAX_INTEGER})::int`;
}

/** Claims the rows of `candidate`, which the parts have locked. */
function claimCandidates(
  names: SchemaNames,
  parts: readonly string[],
  term: LeaseTerm,
  parameters: SqlParameters,
): SqlStatement {
  const owner = parameters.add(term.owner);
  const end = leaseEnd(term.leaseMs, parameters);
  return {
    // An array and no join, because a planner that expects many candidates would read the table.
    text: `WITH RECURSIVE ${parts.join(', ')}, claimed AS (
        UPDATE ${names.tasks} AS task
        SET lease_owner = ${owner}, lease_expires_at = ${end}, attempt = ${nextOf('attempt')},
          version = ${nextOf('version')}, updated_at = ${CLAIM_TIME}
        WHERE task.task_id = ANY (ARRAY(SELECT task_id FROM candidate))
        RETURNING task.*
      )
      SELECT ${selectTask('full')} AS task, lost_owner, attempt
      FROM claimed JOIN candidate USING (task_id)
      ORDER BY candidate.since, task_id COLLATE "C"`,
    values: parameters.values,
  };
}

/**
 * Prolongs the leases of one owner. Answers `task_id` and `attempt` of each. It changes the time of
 * expiry alone, which no index holds.
 */
export function renewLeases(names: SchemaNames, options: ParsedRenewal): SqlStatement {
  const parameters = new SqlParameters();
  const end = leaseEnd(options.leaseMs, parameters);
  const owner = parameters.add(options.owner);
  const { taskIds } = options;
  const chosen =
    taskIds === null ? '' : `AND task_id = ANY (${parameters.add([...taskIds])}::varchar[])`;
  return {
    text: `WITH renewed AS (
        UPDATE ${names.tasks} SET lease_expires_at = ${end}
        WHERE lease_owner = ${owner} AND ${ACTIVE} ${chosen}
        RETURNING task_id, attempt
      )
      SELECT task_id, attempt FROM renewed`,
    values: parameters.values,
  };
}
