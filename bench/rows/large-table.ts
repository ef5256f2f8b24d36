import pg from 'pg';

/** How many ended tasks a large table has, one for each second back from an hour ago. */
export const ENDED_TASKS = 1_000_000;
/** How many active ones beside. */
export const ACTIVE_TASKS = 20;

/** The load is divided among so many sessions. */
const LOADERS = 2;

/** Fills the empty tables of the product with ended tasks. */
export async function loadLargeTable(url: string, endedTasks: number): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: LOADERS });
  const share = endedTasks / LOADERS;
  await Promise.all(
    Array.from({ length: LOADERS }, async (_, loader) =>
      pool.query(
        `INSERT INTO agent_tasks (task_id, status, query, max_steps, created_at, updated_at, finished_at)
         SELECT 'ended-' || n, 'finished', 'Open the calculator', 50, ended, ended, ended
         FROM (
           SELECT n, date_trunc('milliseconds', NOW()) - INTERVAL '1 hour' - n * INTERVAL '1 second' AS ended
           FROM generate_series($1::int, $2::int) AS n
         ) AS task`,
        [loader * share + 1, (loader + 1) * share],
      ),
    ),
  );
  await pool.query(
    `INSERT INTO agent_tasks (task_id, status, query, max_steps)
     SELECT 'active-' || n, 'running', 'Open the calculator', 50
     FROM generate_series(1, ${ACTIVE_TASKS}) AS n`,
  );
  await pool.query('VACUUM ANALYZE agent_tasks');
  await pool.end();
}
