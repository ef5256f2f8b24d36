import type { ParsedCreateOptions } from '../../task/options-input.js';
import type { ParsedNewTask } from '../../task/task-input.js';
import { admitRows, hasLimit } from './admission.js';
import {
  appendEvents,
  eventParameters,
  eventsOf,
  eventValues,
  shapeOf,
  type EventsShape,
} from './appended-events.js';
import { inputText, inputValues, type InputColumn } from './input-rows.js';
import { CLAIM_TIME } from './lease-statements.js';
import { PreparedTexts } from './prepared-texts.js';
import type { SchemaNames } from './schema-names.js';
import type { SqlStatement } from './sql-parameters.js';
import { fieldColumns, type FieldColumn, type FieldValues } from './task-fields.js';

/** A task that is to be created, and how. */
export interface Creation extends ParsedCreateOptions {
  readonly task: Pick<ParsedNewTask, 'taskId' | 'tenantId'>;
  /** The values of the task. */
  readonly values: FieldValues;
}

const REQUIRED_FIELDS = fieldColumns([
  'taskId',
  'tenantId',
  'status',
  'query',
  'maxSteps',
  'maxAttempts',
]);

const OPTIONAL_FIELDS = fieldColumns([
  'timestampDir',
  'executionStatistics',
  'sandboxInfo',
  'requestData',
  'conversationHistory',
  'sealedRequest',
]);

const OPTION_COLUMNS: readonly InputColumn<Creation>[] = [
  { name: 'event_count', type: 'int', read: ({ events }) => events.length },
  { name: 'owner', type: 'text', read: ({ lease }) => lease?.owner ?? null },
  { name: 'lease_ms', type: 'int', read: ({ lease }) => lease?.leaseMs ?? null },
  { name: 'is_queued', type: 'boolean', read: ({ queue }) => queue },
];

/** From the columns that the storage keeps to what a row of the input puts there. */
const KEPT_COLUMNS: Readonly<Record<string, string>> = {
  last_event_sequence: 'event_count',
  started_at: `CASE WHEN status = 'running' THEN NOW() END`,
  queued_at: 'CASE WHEN is_queued THEN NOW() END',
  attempt: 'CASE WHEN owner IS NULL THEN 0 ELSE 1 END',
  lease_owner: 'owner',
  lease_expires_at: `${CLAIM_TIME} + lease_ms * INTERVAL '1 millisecond'`,
};

/**
 * Inserts tasks, each id named once, unless the id is taken or, with a limit, unless that many are
 * active. All have the same limits. Without a limit it answers the `task_id` of each that was created;
 * with a limit one row for each task, in their order, with what `CreationRefusals` reads.
 */
export function insertTasks(names: SchemaNames, creations: readonly Creation[]): SqlStatement {
  const events = eventsOf(creations);
  const [first] = creations;
  const limits = first !== undefined && hasLimit(first) ? first : null;
  const shape: CreateShape = {
    isSingle: creations.length === 1,
    // As bits, because the text depends on which of them any of the tasks has.
    given: OPTIONAL_FIELDS.reduce((given, { name }, index) => {
      const isGiven = creations.some(({ values }) => (values[name] ?? null) !== null);
      return isGiven ? given | (2 ** index) : given;
    }, 0),
    hasLimit: limits !== null,
    events: shapeOf(events),
  };
  const { text, name, columns } = statements.of(
    `${names.tasks} ${Object.values(shape).join(' ')}`,
    () => writeStatement(names, shape),
  );
  const limitValues =
    limits === null ? [] : [limits.maxActiveTasks, limits.maxActiveTasksPerTenant];
  return {
    text,
    name,
    values: [...inputValues(columns, creations), ...eventValues(events), ...limitValues],
  };
}

/** All that the text of the statement depends on. */
interface CreateShape {
  readonly isSingle: boolean;
  readonly given: number;
  readonly hasLimit: boolean;
  readonly events: EventsShape;
}

interface CreateStatement {
  readonly text: string;
  readonly columns: readonly InputColumn<Creation>[];
}

const statements = new PreparedTexts<CreateStatement>();

function writeStatement(names: SchemaNames, shape: CreateShape): CreateStatement {
  const given = OPTIONAL_FIELDS.filter((_, index) => shape.given & (2 ** index));
  const fields = [...REQUIRED_FIELDS, ...given];
  const columns = [
    ...fields.map(({ name, column, type }): InputColumn<Creation> => ({
      name: column,
      type,
      read: ({ values }) => values[name] ?? null,
    })),
    ...OPTION_COLUMNS,
  ];
  return { text: writeText(names, shape, fields, columns), columns };
}

function writeText(
  names: SchemaNames,
  { isSingle, events, ...shape }: CreateShape,
  fields: readonly FieldColumn[],
  columns: readonly InputColumn<Creation>[],
): string {
  const written = {
    ...Object.fromEntries(fields.map(({ column, cast }) => [column, `${column}${cast}`])),
    ...KEPT_COLUMNS,
  };
  const input = inputText('input', columns, isSingle, 0);
  const insert = (source: string): string => `
    INSERT INTO ${names.tasks} (${Object.keys(written).join(', ')})
    SELECT ${Object.values(written).join(', ')} FROM ${source}
    -- In one order everywhere, so that two who insert the same ids do not wait for each other.
    ${isSingle ? '' : 'ORDER BY task_id'}
    ON CONFLICT (task_id) DO NOTHING
    RETURNING task_id${events === 'none' ? '' : ', last_event_sequence, status'}`;
  const appended = appendEvents(names, 'logged', 'logged.status', events, columns.length);
  if (appended.length === 0 && !shape.hasLimit) {
    return insert(input);
  }
  const admission = shape.hasLimit
    ? admitRows(names, columns.length + eventParameters(events))
    : null;
  const logged = `logged AS (
    SELECT created.*, input.position, input.event_count FROM created JOIN input USING (task_id)
  )`;
  const parts = [
    `input AS (SELECT * FROM ${input})`,
    ...(admission?.parts ?? []),
    `created AS (${insert(admission?.admitted ?? 'input')})`,
    ...(appended.length === 0 ? [] : [logged, ...appended]),
  ];
  const answer =
    admission === null
      ? 'SELECT task_id FROM created'
      : `SELECT created.task_id IS NOT NULL AS created, ${admission.answers}
         FROM input LEFT JOIN created USING (task_id) ${admission.joins} ORDER BY input.position`;
  return `WITH ${parts.join(', ')} ${answer}`;
}
