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
import {
  bitsOf,
  givenBits,
  givenParts,
  PreparedTexts,
  type OptionalPart,
} from './prepared-texts.js';
import type { SchemaNames } from './schema-names.js';
import type { SqlStatement } from './sql-parameters.js';
import { fieldColumns, type FieldColumn, type FieldValues } from './task-fields.js';

/** A task that is to be created, and how. */
export interface Creation extends ParsedCreateOptions {
  readonly task: Pick<ParsedNewTask, 'taskId' | 'tenantId'>;
  /** The values of the task. */
  readonly values: FieldValues;
}

interface CreatePart extends OptionalPart<Creation> {
  readonly columns: readonly InputColumn<Creation>[];
  /** From columns of the table to what a row of the input puts there. */
  readonly written: Readonly<Record<string, string>>;
}

function fieldPart({ name, column, type, cast }: FieldColumn): CreatePart {
  return {
    isGiven: ({ values }) => (values[name] ?? null) !== null,
    columns: [{ name: column, type, read: ({ values }) => values[name] ?? null }],
    written: { [column]: `${column}${cast}` },
  };
}

const REQUIRED_PARTS = fieldColumns([
  'taskId',
  'tenantId',
  'status',
  'query',
  'maxSteps',
  'maxAttempts',
]).map(fieldPart);

const OPTIONAL_PARTS: readonly CreatePart[] = [
  ...fieldColumns([
    'timestampDir',
    'executionStatistics',
    'sandboxInfo',
    'requestData',
    'conversationHistory',
    'sealedRequest',
  ]).map(fieldPart),
  {
    isGiven: ({ values }) => values.status === 'running',
    columns: [],
    written: { started_at: `CASE WHEN status = 'running' THEN NOW() END` },
  },
  {
    isGiven: ({ events }) => events.length > 0,
    columns: [{ name: 'event_count', type: 'int', read: ({ events }) => events.length }],
    written: { last_event_sequence: 'event_count' },
  },
  {
    isGiven: ({ queue }) => queue,
    columns: [{ name: 'is_queued', type: 'boolean', read: ({ queue }) => queue }],
    written: { queued_at: 'CASE WHEN is_queued THEN NOW() END' },
  },
  {
    isGiven: ({ lease }) => lease !== null,
    columns: [
      { name: 'owner', type: 'text', read: ({ lease }) => lease?.owner ?? null },
      { name: 'lease_ms', type: 'int', read: ({ lease }) => lease?.leaseMs ?? null },
    ],
    written: {
      attempt: 'CASE WHEN owner IS NULL THEN 0 ELSE 1 END',
      lease_owner: 'owner',
      lease_expires_at: `${CLAIM_TIME} + lease_ms * INTERVAL '1 millisecond'`,
    },
  },
];

/**
 * Inserts tasks, each id named once, unless the id is taken or, with a limit, unless that many are
 * active. All have the same limits. Without a limit it answers a row with the `task_id` for each that
 * was created, and of a single one without events only how many rows it wrote; with a limit one row for
 * each task, in their order, with what `CreationRefusals` reads.
 */
export function insertTasks(names: SchemaNames, creations: readonly Creation[]): SqlStatement {
  const events = eventsOf(creations);
  const [first] = creations;
  const limits = first !== undefined && hasLimit(first) ? first : null;
  const shape: CreateShape = {
    isSingle: creations.length === 1,
    hasLimit: limits !== null,
    events: shapeOf(events),
    given: givenBits(OPTIONAL_PARTS, creations),
  };
  const { text, name, columns } = statements.of(names, shapeBits(shape), () =>
    writeStatement(names, shape),
  );
  const values = inputValues(columns, creations).concat(eventValues(events));
  if (limits !== null) {
    values.push(limits.maxActiveTasks, limits.maxActiveTasksPerTenant);
  }
  return { text, name, values };
}

/** All that the text of the statement depends on. */
interface CreateShape {
  readonly isSingle: boolean;
  readonly hasLimit: boolean;
  readonly events: EventsShape;
  readonly given: number;
}

function shapeBits({ isSingle, hasLimit: isLimited, events, given }: CreateShape): number {
  return bitsOf([isSingle, isLimited, events !== 'none', events === 'one']) | (given << 4);
}

interface CreateStatement {
  readonly text: string;
  readonly columns: readonly InputColumn<Creation>[];
}

const statements = new PreparedTexts<CreateStatement>();

function writeStatement(names: SchemaNames, shape: CreateShape): CreateStatement {
  const given = givenParts(OPTIONAL_PARTS, shape.given);
  const parts = [...REQUIRED_PARTS, ...given];
  const columns = parts.flatMap((part) => part.columns);
  const written = Object.fromEntries(parts.flatMap((part) => Object.entries(part.written)));
  return { text: writeText(names, shape, written, columns), columns };
}

function writeText(
  names: SchemaNames,
  { isSingle, events, ...shape }: CreateShape,
  written: Readonly<Record<string, string>>,
  columns: readonly InputColumn<Creation>[],
): string {
  const input = inputText('input', columns, isSingle, 0);
  const insert = (source: string, returned: string): string => `
    INSERT INTO ${names.tasks} (${Object.keys(written).join(', ')})
    SELECT ${Object.values(written).join(', ')} FROM ${source}
    -- In one order everywhere, so that two who insert the same ids do not wait for each other.
    ${isSingle ? '' : 'ORDER BY task_id'}
    ON CONFLICT (task_id) DO NOTHING ${returned}`;
  const appended = appendEvents(names, 'logged', 'logged.status', events, columns.length);
  if (appended.length === 0 && !shape.hasLimit) {
    return insert(input, isSingle ? '' : 'RETURNING task_id');
  }
  const admission = shape.hasLimit
    ? admitRows(names, columns.length + eventParameters(events))
    : null;
  const logged = `logged AS (
    SELECT created.*, input.position, input.event_count FROM created JOIN input USING (task_id)
  )`;
  const returned = `RETURNING task_id${events === 'none' ? '' : ', last_event_sequence, status'}`;
  const parts = [
    `input AS (SELECT * FROM ${input})`,
    ...(admission?.parts ?? []),
    `created AS (${insert(admission?.admitted ?? 'input', returned)})`,
    ...(appended.length === 0 ? [] : [logged, ...appended]),
  ];
  const answer =
    admission === null
      ? 'SELECT task_id FROM created'
      : `SELECT created.task_id IS NOT NULL AS created, ${admission.answers}
         FROM input LEFT JOIN created USING (task_id) ${admission.joins} ORDER BY input.position`;
  return `WITH ${parts.join(', ')} ${answer}`;
}
