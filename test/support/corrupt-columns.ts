import { TASK_JSON_FIELDS } from '../../src/task/task.js';
import { TASK_COLUMNS } from '../../src/storage/typeorm/task-columns.js';
import type { TestDatabase } from './test-database.js';

/** What a hand may write into a column that no task can have. */
export interface CorruptColumn {
  readonly column: string;
  /** SQL for the value. */
  readonly value: string;
  /** Whether a summary reads the column. */
  readonly inSummary: boolean;
}

/** Part of every corrupt text and JSON: must be in no error. */
export const CORRUPT_CONTENT = 'whatWasWritten';

const PAYLOADS: readonly string[] = [TASK_COLUMNS.requestData, TASK_COLUMNS.conversationHistory];

const STATUSES = [CORRUPT_CONTENT, 'FINISHED', 'Running', ' pending', '', '1'];
const JSON_TEXTS = [
  `["${CORRUPT_CONTENT}"]`,
  `"${CORRUPT_CONTENT}"`,
  `"{\\"a\\": 1}"`,
  '17',
  'true',
  '[]',
];
const TIMES = ['infinity', '-infinity', '0044-03-15 00:00:00+00 BC', '294276-12-31 23:59:59+00'];
const NOT_NULL_COLUMNS = [
  'status',
  'query',
  'max_steps',
  'tenant_id',
  'version',
  'attempt',
  'max_attempts',
  'last_event_sequence',
  'created_at',
  'updated_at',
];
const COUNT_COLUMNS = ['version', 'attempt', 'max_attempts', 'last_event_sequence'];
const TIME_COLUMNS = Object.values(TASK_COLUMNS).filter((column) => column.endsWith('_at'));

function corrupt(column: string, value: string): CorruptColumn {
  return { column, value, inSummary: !PAYLOADS.includes(column) };
}

/** Every column with every value of its type that it should not have. */
export const CORRUPT_COLUMNS: readonly CorruptColumn[] = [
  ...STATUSES.map((status) => corrupt('status', `'${status}'`)),
  ...TASK_JSON_FIELDS.flatMap((field) =>
    JSON_TEXTS.map((json) => corrupt(TASK_COLUMNS[field], `'${json}'::jsonb`)),
  ),
  ...TIME_COLUMNS.flatMap((column) => TIMES.map((time) => corrupt(column, `'${time}'`))),
  ...COUNT_COLUMNS.map((column) => corrupt(column, '-1')),
  ...NOT_NULL_COLUMNS.map((column) => corrupt(column, 'NULL')),
];

/** Lets columns be empty, as a hand may have done it. */
export async function allowNulls(database: TestDatabase): Promise<void> {
  const changes = NOT_NULL_COLUMNS.map((column) => `ALTER COLUMN ${column} DROP NOT NULL`);
  await database.query(`ALTER TABLE agent_tasks ${changes.join(', ')}`);
}

/** Writes a task as the original service does, and spoils one of its columns. */
export async function insertCorrupt(
  database: TestDatabase,
  taskId: string,
  { column, value }: CorruptColumn,
): Promise<void> {
  await database.query(
    `INSERT INTO agent_tasks (task_id, status, query, max_steps) VALUES ($1, 'pending', 'q', 1)`,
    [taskId],
  );
  await database.query(`UPDATE agent_tasks SET ${column} = ${value} WHERE task_id = $1`, [taskId]);
}
