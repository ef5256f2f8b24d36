import {
  appendEvents,
  eventsOf,
  eventValues,
  shapeOf,
  type EventsShape,
} from './appended-events.js';
import {
  endsTask,
  GUARDS,
  OF_TENANT,
  type ChangeColumn,
  type Guard,
  type GuardedChange,
} from './guarded-change.js';
import { inputText, inputValues } from './input-rows.js';
import { bitsOf, givenBits, givenParts, PreparedTexts } from './prepared-texts.js';
import type { SchemaNames } from './schema-names.js';
import type { SqlStatement } from './sql-parameters.js';
import { fieldColumns, type FieldColumn } from './task-fields.js';

/** What a change does, as bits; the bits above say which fields it sets. */
const UPDATES = 1;
const ENDS = 2;
const STARTS = 4;
const FIRST_FIELD = 8;

const UPDATE_FIELDS = fieldColumns([
  'status',
  'query',
  'maxSteps',
  'finalState',
  'timestampDir',
  'executionStatistics',
  'sandboxInfo',
  'requestData',
  'conversationHistory',
  'result',
  'error',
]).map((field, index) => ({ ...field, flag: FIRST_FIELD * 2 ** index }));

const STATUS_FLAG = FIRST_FIELD;

type WrittenField = FieldColumn & { readonly flag: number };

function flagsOf({ updates, values }: GuardedChange): number {
  if (updates === null) {
    return 0;
  }
  let flags =
    UPDATES | (endsTask(updates) ? ENDS : 0) | (updates.status === 'running' ? STARTS : 0);
  for (const { name, flag } of UPDATE_FIELDS) {
    if (values[name] !== undefined) {
      flags |= flag;
    }
  }
  return flags;
}

/**
 * How a statement treats rows that somebody else has locked, and changes that are refused.
 *
 * - `pass`: passes over tasks that somebody has locked. Answers one row for each change, in their
 *   order: whether the task was `met`, and if so its `status`, `version`, `lease_owner`, `attempt` and
 *   `met_sequence`, whether it was `changed`, and the new `last_event_sequence`; if not, whether it was
 *   `passed_over`.
 * - `explain`: the same for a single change, which waits for the lock.
 * - `wait`: for a single change, which waits as well; costs the least. Answers a row with the new
 *   `last_event_sequence` when it was changed and has events; without events only how many rows it wrote.
 */
export type ChangeMode = 'pass' | 'wait' | 'explain';

/** Changes tasks, each named once. */
export function changeTasks(
  names: SchemaNames,
  changes: readonly GuardedChange[],
  mode: ChangeMode,
): SqlStatement {
  const [firstFlags = 0, ...otherFlags] = changes.map(flagsOf);
  const events = eventsOf(changes);
  const shape: ChangeShape = {
    isSingle: changes.length === 1,
    isUniform: otherFlags.every((flags) => flags === firstFlags),
    mode,
    flags: otherFlags.reduce((all, flags) => all | flags, firstFlags),
    guards: givenBits(GUARDS, changes),
    events: shapeOf(events),
  };
  const { text, name, columns } = statements.of(names, shapeBits(shape), () =>
    writeStatement(names, shape),
  );
  return { text, name, values: inputValues(columns, changes).concat(eventValues(events)) };
}

/** All that the text of the statement depends on. */
interface ChangeShape {
  readonly isSingle: boolean;
  /** Whether all changes do the same; otherwise the flags of each tell what it does. */
  readonly isUniform: boolean;
  readonly mode: ChangeMode;
  readonly flags: number;
  readonly guards: number;
  readonly events: EventsShape;
}

function shapeBits({ isSingle, isUniform, mode, flags, guards, events }: ChangeShape): number {
  const few = bitsOf([
    isSingle,
    isUniform,
    mode === 'pass',
    mode === 'wait',
    events !== 'none',
    events === 'one',
  ]);
  // Not shifted, because a shift keeps 32 bits only.
  return few + guards * 2 ** 6 + flags * 2 ** (6 + GUARDS.length);
}

interface ChangeStatement {
  readonly text: string;
  readonly columns: readonly ChangeColumn[];
}

const statements = new PreparedTexts<ChangeStatement>();

function fieldsOf(flags: number): readonly WrittenField[] {
  return UPDATE_FIELDS.filter(({ flag }) => flags & flag);
}

function columnsOf(
  { isUniform, flags, events }: ChangeShape,
  guards: readonly Guard[],
): readonly ChangeColumn[] {
  return [
    { name: 'task_id', type: 'varchar', read: ({ taskId }) => taskId },
    ...guards.flatMap(({ columns }) => columns),
    ...(events === 'none'
      ? []
      : [
          {
            name: 'event_count',
            type: 'int',
            read: ({ events: added }: GuardedChange) => added.length,
          } as const,
        ]),
    ...(isUniform ? [] : [{ name: 'flags', type: 'int', read: flagsOf } as const]),
    ...fieldsOf(flags).map(({ name, column, type }): ChangeColumn => ({
      name: `new_${column}`,
      type,
      read: ({ values }) => values[name] ?? null,
    })),
  ] satisfies ChangeColumn[];
}

function writeStatement(names: SchemaNames, shape: ChangeShape): ChangeStatement {
  const { isSingle, mode, flags, events } = shape;
  const guards = givenParts(GUARDS, shape.guards);
  const columns = columnsOf(shape, guards);
  const input = inputText('input', columns, isSingle, 0);
  const ofTenant = guards.includes(OF_TENANT) ? `AND ${OF_TENANT.condition}` : '';
  const newStatus = flags & STATUS_FLAG ? 'input.new_status' : 'NULL::varchar';
  const forEvents =
    events === 'none' ? '' : `, input.position, input.event_count, ${newStatus} AS new_status`;
  const change = (source: string, isLocked: boolean, returned: string): string => `
    UPDATE ${names.tasks} AS task SET ${settings(shape).join(', ')}
    FROM ${source}
    WHERE ${[
      'task.task_id = input.task_id',
      ...guards.map(({ condition }) => condition),
      ...(isLocked ? ['task.task_id = ANY (ARRAY(SELECT task_id FROM target))'] : []),
    ].join(' AND ')} ${returned}`;
  const returned = `RETURNING task.task_id, task.last_event_sequence${forEvents}`;
  const appended = appendEvents(names, 'changed', 'changed.new_status', events, columns.length);
  if (mode === 'wait') {
    const text =
      appended.length === 0
        ? change(input, false, '')
        : `WITH changed AS (${change(input, false, returned)}), ${appended.join(', ')}
           SELECT last_event_sequence FROM changed`;
    return { text, columns };
  }
  const parts = [
    `input AS (SELECT * FROM ${input})`,
    `target AS (
      SELECT task.task_id, task.status, task.version, task.lease_owner, task.attempt,
        task.last_event_sequence AS met_sequence
      FROM input JOIN ${names.tasks} AS task ON task.task_id = input.task_id ${ofTenant}
      FOR NO KEY UPDATE OF task ${mode === 'pass' ? 'SKIP LOCKED' : ''}
    )`,
    `changed AS (${change('input', true, returned)})`,
    ...appended,
  ];
  const exists = `EXISTS (
    SELECT 1 FROM ${names.tasks} AS task WHERE task.task_id = input.task_id ${ofTenant})`;
  const text = `WITH ${parts.join(', ')}
    SELECT target.task_id IS NOT NULL AS met, target.status, target.version, target.lease_owner,
      target.attempt, target.met_sequence, changed.task_id IS NOT NULL AS changed,
      changed.last_event_sequence,
      ${mode === 'pass' ? `target.task_id IS NULL AND ${exists}` : 'FALSE'} AS passed_over
    FROM input LEFT JOIN target USING (task_id) LEFT JOIN changed USING (task_id)
    ORDER BY input.position`;
  return { text, columns };
}

function settings({ isUniform, flags, events }: ChangeShape): string[] {
  const when = (flag: number, column: string, value: string): string =>
    isUniform
      ? `${column} = ${value}`
      : `${column} = CASE WHEN input.flags & ${flag} <> 0 THEN ${value} ELSE task.${column} END`;
  const set: string[] = [];
  if (events !== 'none') {
    set.push('last_event_sequence = task.last_event_sequence + input.event_count');
  }
  if (flags & UPDATES) {
    set.push(when(UPDATES, 'version', 'task.version + 1'), when(UPDATES, 'updated_at', 'NOW()'));
  }
  if (flags & ENDS) {
    set.push(
      when(ENDS, 'finished_at', 'NOW()'),
      ...['lease_owner', 'lease_expires_at', 'sealed_request'].map((column) =>
        when(ENDS, column, 'NULL'),
      ),
    );
  }
  if (flags & STARTS) {
    set.push(when(STARTS, 'started_at', 'NOW()'));
  }
  return [
    ...set,
    ...fieldsOf(flags).map(({ flag, column, cast }) =>
      when(flag, column, `input.new_${column}${cast}`),
    ),
  ];
}
