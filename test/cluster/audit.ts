import type { TestDatabase } from '../support/test-database.js';
import type { AuditedState, AuditRow, EventRow, TaskRow } from './evidence.js';

/*
 * The database's own record of every change of a task. It is written in the transaction that makes
 * the change, so that no service can change a task unseen.
 *
 * The time is that of the statement's work, not of its commit. An admission that is right counts
 * under a lock what was committed before: whatever it counted has an earlier time, and a task that
 * it saw ended has ended earlier too. So replayed in the order of these times, right admissions
 * never look like too many.
 */

/** `to_jsonb` reads columns by name, so that the trigger fits tables that lack some of them. */
const STATE_COLUMNS = ['status', 'lease_owner', 'attempt', 'version'];

function stateOf(row: 'OLD' | 'NEW'): string {
  const pairs = STATE_COLUMNS.map((column) => `'${column}', to_jsonb(${row}) -> '${column}'`);
  return `jsonb_build_object(${pairs.join(', ')})`;
}

/** Call it when the tables exist and no task has been submitted yet. */
export async function installAudit(database: TestDatabase): Promise<void> {
  await database.query(`
    CREATE TABLE cluster_audit (
      id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at TIMESTAMPTZ NOT NULL,
      task_id TEXT NOT NULL,
      before JSONB,
      after JSONB
    )`);
  await database.query(`
    CREATE FUNCTION record_cluster_audit() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    DECLARE
      before JSONB;
      after JSONB;
    BEGIN
      IF TG_OP <> 'INSERT' THEN before := ${stateOf('OLD')}; END IF;
      IF TG_OP <> 'DELETE' THEN after := ${stateOf('NEW')}; END IF;
      -- Stages and renewed leases change nothing of what is audited.
      IF before IS DISTINCT FROM after THEN
        INSERT INTO cluster_audit (at, task_id, before, after)
        VALUES (clock_timestamp(), COALESCE(NEW.task_id, OLD.task_id), before, after);
      END IF;
      RETURN NULL;
    END $$`);
  await database.query(`
    CREATE TRIGGER cluster_audit AFTER INSERT OR UPDATE OR DELETE ON agent_tasks
    FOR EACH ROW EXECUTE FUNCTION record_cluster_audit()`);
}

interface StoredState {
  readonly status: string;
  readonly lease_owner: string | null;
  readonly attempt: number | null;
  readonly version: number;
}

function auditedState(state: StoredState | null): AuditedState | null {
  return (
    state && {
      status: state.status,
      leaseOwner: state.lease_owner,
      attempt: state.attempt ?? 0,
      version: state.version,
    }
  );
}

/** @returns every audited change, in the order of its time */
export async function readAudit(database: TestDatabase): Promise<AuditRow[]> {
  const rows = await database.query<{
    id: string;
    at_ms: number;
    task_id: string;
    before: StoredState | null;
    after: StoredState | null;
  }>(`
    SELECT id, (EXTRACT(EPOCH FROM at) * 1000)::float8 AS at_ms, task_id, before, after
    FROM cluster_audit ORDER BY at, id`);
  return rows.map((row) => ({
    id: Number(row.id),
    atMs: row.at_ms,
    taskId: row.task_id,
    before: auditedState(row.before),
    after: auditedState(row.after),
  }));
}

export async function readTasks(database: TestDatabase): Promise<TaskRow[]> {
  return database.query<TaskRow & Record<string, unknown>>(`
    SELECT task_id AS "taskId", query, status, final_state AS "finalState", result,
      lease_owner AS "leaseOwner", last_event_sequence AS "lastEventSequence",
      COALESCE((to_jsonb(task) ->> 'attempt')::int, 0) AS attempt
    FROM agent_tasks AS task ORDER BY created_at, task_id`);
}

export async function readEvents(database: TestDatabase): Promise<EventRow[]> {
  return database.query<EventRow & Record<string, unknown>>(`
    SELECT task_id AS "taskId", sequence, stage, message, status,
      (EXTRACT(EPOCH FROM created_at) * 1000)::float8 AS "atMs"
    FROM agent_tasks_events ORDER BY task_id, sequence`);
}

/** How many tasks this replica runs. */
export async function countRunning(database: TestDatabase, replica: string): Promise<number> {
  const [row] = await database.query<{ running: number }>(
    `SELECT COUNT(*)::int AS running FROM agent_tasks
     WHERE status = 'running' AND strpos(lease_owner, $1) > 0`,
    [replica],
  );
  return row?.running ?? 0;
}

/** Whether a task that this replica held has been claimed by another one since then. */
export async function wasTakenOver(
  database: TestDatabase,
  replica: string,
  sinceMs: number,
): Promise<boolean> {
  const [row] = await database.query<{ found: boolean }>(
    `SELECT EXISTS (
       SELECT 1 FROM cluster_audit
       WHERE at > to_timestamp($2::float8 / 1000)
         AND strpos(before ->> 'lease_owner', $1) > 0
         AND after ->> 'lease_owner' <> before ->> 'lease_owner'
     ) AS found`,
    [replica, sinceMs],
  );
  return row?.found === true;
}

/** How many tasks have not ended. */
export async function countActive(database: TestDatabase): Promise<number> {
  const [row] = await database.query<{ active: number }>(`
    SELECT COUNT(*)::int AS active FROM agent_tasks WHERE status IN ('pending', 'running')`);
  return row?.active ?? 0;
}
