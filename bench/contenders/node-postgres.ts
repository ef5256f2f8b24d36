import pg from 'pg';
import {
  Acknowledged,
  existingTaskId,
  MAX_STEPS,
  newTaskIds,
  QUERY,
  REQUEST_DATA,
  STAGE,
  wrongAnswer,
  type Contender,
} from './contender.js';

const CREATE = `INSERT INTO agent_tasks (task_id, tenant_id, status, query, max_steps, request_data)
  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (task_id) DO NOTHING`;
const GET = 'SELECT * FROM agent_tasks WHERE task_id = $1';
const UPDATE = `UPDATE agent_tasks
  SET execution_statistics = $2, version = version + 1, updated_at = NOW() WHERE task_id = $1`;
const APPEND = `WITH task AS (
    UPDATE agent_tasks SET last_event_sequence = last_event_sequence + 1
    WHERE task_id = $1 RETURNING last_event_sequence
  )
  INSERT INTO agent_tasks_events (task_id, sequence, stage, message)
  SELECT $1, last_event_sequence, $2, $3 FROM task`;

/** The driver as a careful author uses it: prepared statements, one for each call. */
export function nodePostgresContender(pool: pg.Pool): Contender {
  const name = 'node-postgres';
  const acknowledged = new Acknowledged();
  const newTaskId = newTaskIds(name);
  let steps = 0;
  const write = async (statement: string, text: string, values: unknown[]): Promise<void> => {
    const { rowCount } = await pool.query({ name: statement, text, values });
    if (rowCount !== 1) {
      wrongAnswer(name, `${statement} wrote ${rowCount} rows`);
    }
  };
  return {
    name,
    acknowledged,
    operations: {
      create: async () => {
        const request = JSON.stringify(REQUEST_DATA);
        const taskId = newTaskId();
        const values = [taskId, 'default', 'pending', QUERY, MAX_STEPS, request];
        await write('create', CREATE, values);
        acknowledged.created.add(taskId);
      },
      get: async () => {
        const taskId = existingTaskId(name);
        const { rows } = await pool.query<{ task_id: string }>({
          name: 'get',
          text: GET,
          values: [taskId],
        });
        if (rows[0]?.task_id !== taskId) {
          wrongAnswer(name, 'not the task that was asked for');
        }
      },
      update: async () => {
        steps += 1;
        const taskId = existingTaskId(name);
        await write('update', UPDATE, [taskId, JSON.stringify({ steps })]);
        acknowledged.update(taskId);
      },
      'append event': async () => {
        const taskId = existingTaskId(name);
        await write('append', APPEND, [taskId, STAGE.stage, STAGE.message]);
        acknowledged.append(taskId);
      },
    },
    close: async () => pool.end(),
  };
}
