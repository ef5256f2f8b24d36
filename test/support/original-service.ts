import type { TestDatabase } from './test-database.js';

/** Creates the table as the original service does; older ones have no conversation history. */
export async function createOriginalTable(
  database: TestDatabase,
  options: { withConversationHistory: boolean },
): Promise<void> {
  await database.query(`
    CREATE TABLE agent_tasks (
      task_id VARCHAR(255) PRIMARY KEY,
      status VARCHAR(50) NOT NULL,
      query TEXT NOT NULL,
      max_steps INTEGER NOT NULL,
      final_state VARCHAR(50),
      timestamp_dir TEXT,
      execution_statistics JSONB,
      sandbox_info JSONB,
      request_data JSONB,
      ${options.withConversationHistory ? 'conversation_history JSONB,' : ''}
      created_at TIMESTAMP NOT NULL DEFAULT NOW(),
      updated_at TIMESTAMP NOT NULL DEFAULT NOW()
    )`);
  await database.query('CREATE INDEX idx_agent_tasks_status ON agent_tasks (status)');
  await database.query('CREATE INDEX idx_agent_tasks_created_at ON agent_tasks (created_at)');
  await database.query(
    'CREATE TABLE schema_migrations (version VARCHAR PRIMARY KEY, applied_at TIMESTAMP)',
  );
  await database.query(`INSERT INTO schema_migrations VALUES ('002', NOW())`);
}

/** Inserts a row as the original service does: without the columns that it does not know. */
export async function insertOriginalRow(
  database: TestDatabase,
  row: { taskId: string; status: string; createdAt: string; updatedAt: string },
): Promise<void> {
  await database.query(
    `INSERT INTO agent_tasks (task_id, status, query, max_steps, final_state, timestamp_dir,
       execution_statistics, sandbox_info, request_data, created_at, updated_at)
     VALUES ($1, $2, 'open the calculator', 50, NULL, NULL, '{"steps": 3}', '{"id": "box"}',
       '{"instruction": "open the calculator"}', $3, $4)`,
    [row.taskId, row.status, row.createdAt, row.updatedAt],
  );
}
