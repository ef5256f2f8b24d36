import pg from 'pg';

/**
 * Runs the work while another session of the database has a transaction open, in which the SQL was
 * run. The transaction is undone when the work is over, or committed when the work says so.
 */
export async function besideTransaction(
  connectionString: string,
  sql: string,
  work: (commit: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query(sql);
    await work(async () => client.query('COMMIT'));
    await client.query('ROLLBACK');
  } finally {
    await client.end();
  }
}
