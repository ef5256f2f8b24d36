import pg from 'pg';

/** A row of the table `agent_tasks`. */
export interface TaskRow {
  readonly task_id: string;
  readonly query: string;
  readonly status: string;
  readonly final_state: string | null;
  readonly [column: string]: unknown;
}

/** Looks into the service's table behind its back, to see what is really stored. */
export class TaskTable {
  private constructor(private readonly client: pg.Client) {}

  static async open(connectionString: string): Promise<TaskTable> {
    const client = new pg.Client({ connectionString });
    // Whoever interrupts the demo stops the server first; a query that still waits is rejected.
    client.on('error', () => undefined);
    await client.connect();
    return new TaskTable(client);
  }

  async serverVersion(): Promise<string> {
    const { rows } = await this.client.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version ?? 'unknown';
  }

  /** @returns every task, by its id */
  async rows(): Promise<ReadonlyMap<string, TaskRow>> {
    const { rows } = await this.client.query<{ row: TaskRow }>(
      'SELECT to_jsonb(agent_tasks) AS row FROM agent_tasks',
    );
    return new Map(rows.map(({ row }) => [row.task_id, row]));
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}

/** The status of a task and how it ended. */
export function describeRow(row: TaskRow | undefined): string {
  if (row === undefined) {
    return 'gone';
  }
  return row.final_state === null ? row.status : `${row.status} (${row.final_state})`;
}
