import type { NewTaskEvent } from '../../task/task-event.js';
import { ACTIVE_STATUSES, isTerminal, predecessorsOf } from '../../task/task-lifecycle.js';
import type { TaskUpdates } from '../../task/task.js';
import type { WriteGuards } from '../../task/write-guards.js';
import {
  appendEvents,
  eventsOf,
  eventValues,
  shapeOf,
  type EventsShape,
} from './appended-events.js';
import { inputText, inputValues, type InputColumn } from './input-rows.js';
import { PreparedTexts } from './prepared-texts.js';
import type { SchemaNames } from './schema-names.js';
import type { SqlStatement } from './sql-parameters.js';
import { fieldColumns, type FieldColumn, type FieldValues } from './task-fields.js';

/** A change of one task: everything that must hold is checked in the statement that writes. */
export interface GuardedChange extends WriteGuards {
  readonly taskId: string;
  /** Only a task of this tenant; `null` for any. */
  readonly tenantId: string | null;
  /** `null` to add events alone, which leaves version and `updatedAt` as they are. */
  readonly updates: TaskUpdates | null;
  /** The values of the updates. */
  readonly values: FieldValues;
  readonly expectedVersion: number | null;
  readonly events: readonly NewTaskEvent[];
}

/** What a change does, as bits of the column `flags`; the bits above say which fields it sets. */
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
  return UPDATE_FIELDS.filter(({ name }) => values[name] !== undefined).reduce(
    (flags, { flag }) => flags | flag,
    UPDATES | (endsTask(updates) ? ENDS : 0) | (updates.status === 'running' ? STARTS : 0),
  );
}

const GUARD_COLUMNS: readonly InputColumn<GuardedChange>[] = [
  { name: 'task_id', type: 'varchar', read: ({ taskId }) => taskId },
  { name: 'tenant_id', type: 'varchar', read: ({ tenantId }) => tenantId },
  { name: 'version', type: 'int', read: ({ expectedVersion }) => expectedVersion },
  {
    name: 'allowed',
    type: 'text',
    // As text, because an array of arrays must have the same length everywhere.
    read: (change) => allowedStatuses(change)?.join(' ') ?? null,
  },
  { name: 'lease_owner', type: 'varchar', read: ({ lease }) => lease?.owner ?? null },
  { name: 'attempt', type: 'int', read: ({ lease }) => lease?.attempt ?? null },
  { name: 'sequence', type: 'int', read: ({ expectedSequence }) => expectedSequence },
  { name: 'event_count', type: 'int', read: ({ events }) => events.length },
  { name: 'flags', type: 'int', read: flagsOf },
];

const OF_TENANT = '(input.tenant_id IS NULL OR task.tenant_id = input.tenant_id)';

/** What must hold of a row. Whoever has waited for its lock sees it as it is then. */
const GUARDS = `${OF_TENANT}
  AND (input.version IS NULL OR task.version = input.version)
  AND (input.allowed IS NULL OR task.status = ANY (string_to_array(input.allowed, ' ')))
  AND (input.lease_owner IS NULL
    OR (task.lease_owner = input.lease_owner AND task.attempt = input.attempt))
  AND (input.sequence IS NULL OR task.last_event_sequence = input.sequence)`;

/**
 * How a statement treats rows that somebody else has locked, and changes that are refused.
 *
 * - `pass`: passes over tasks that somebody has locked. Answers one row for each change, in their
 *   order: whether the task was `met`, and if so its `status`, `version`, `lease_owner`, `attempt` and
 *   `met_sequence`, whether it was `changed`, and the new `last_event_sequence`; if not, whether it was
 *   `passed_over`.
 * - `explain`: the same for a single change, which waits for the lock.
 * - `wait`: for a single change, which waits as well; costs the least. Answers the `task_id` and the new
 *   `last_event_sequence` when it was changed, and nothing when it was not.
 */
export type ChangeMode = 'pass' | 'wait' | 'explain';

/** Changes tasks, each named once. */
export function changeTasks(
  names: SchemaNames,
  changes: readonly GuardedChange[],
  mode: ChangeMode,
): SqlStatement {
  // What all changes together do; where they differ, the flags of each tell.
  const flags = changes.reduce((all, change) => all | flagsOf(change), 0);
  const events = eventsOf(changes);
  const shape: ChangeShape = {
    isSingle: changes.length === 1,
    mode,
    flags,
    events: shapeOf(events),
  };
  const { text, name } = texts.of(`${names.tasks} ${Object.values(shape).join(' ')}`, () =>
    writeText(names, shape),
  );
  return {
    text,
    name,
    values: [...inputValues(columnsOf(flags), changes), ...eventValues(events)],
  };
}

/** All that the text of the statement depends on. */
interface ChangeShape {
  readonly isSingle: boolean;
  readonly mode: ChangeMode;
  readonly flags: number;
  readonly events: EventsShape;
}

const texts = new PreparedTexts();

function fieldsOf(flags: number): readonly WrittenField[] {
  return UPDATE_FIELDS.filter(({ flag }) => flags & flag);
}

function columnsOf(flags: number): readonly InputColumn<GuardedChange>[] {
  return [
    ...GUARD_COLUMNS,
    ...fieldsOf(flags).map(({ name, column, type }): InputColumn<GuardedChange> => ({
      name: `new_${column}`,
      type,
      read: ({ values }) => values[name] ?? null,
    })),
  ];
}

function writeText(names: SchemaNames, { isSingle, mode, flags, events }: ChangeShape): string {
  const columns = columnsOf(flags);
  const input = inputText('input', columns, isSingle, 0);
  const newStatus = flags & STATUS_FLAG ? 'input.new_status' : 'NULL::varchar';
  const forEvents =
    events === 'none' ? '' : `, input.position, input.event_count, ${newStatus} AS new_status`;
  const change = (source: string, condition: string): string => `
    UPDATE ${names.tasks} AS task SET ${settings(flags).join(', ')}
    FROM ${source}
    WHERE task.task_id = input.task_id AND ${GUARDS} ${condition}
    RETURNING task.task_id, task.last_event_sequence${forEvents}`;
  const appended = appendEvents(names, 'changed', 'changed.new_status', events, columns.length);
  if (mode === 'wait') {
    return appended.length === 0
      ? change(input, '')
      : `WITH changed AS (${change(input, '')}), ${appended.join(', ')}
         SELECT task_id, last_event_sequence FROM changed`;
  }
  const parts = [
    `input AS (SELECT * FROM ${input})`,
    `target AS (
      SELECT task.task_id, task.status, task.version, task.lease_owner, task.attempt,
        task.last_event_sequence AS met_sequence
      FROM input JOIN ${names.tasks} AS task ON task.task_id = input.task_id AND ${OF_TENANT}
      FOR UPDATE OF task ${mode === 'pass' ? 'SKIP LOCKED' : ''}
    )`,
    `changed AS (${change('input', 'AND task.task_id = ANY (ARRAY(SELECT task_id FROM target))')})`,
    ...appended,
  ];
  const exists = `EXISTS (
    SELECT 1 FROM ${names.tasks} AS task WHERE task.task_id = input.task_id AND ${OF_TENANT})`;
  return `WITH ${parts.join(', ')}
    SELECT target.task_id IS NOT NULL AS met, target.status, target.version, target.lease_owner,
      target.attempt, target.met_sequence, changed.task_id IS NOT NULL AS changed,
      changed.last_event_sequence,
      ${mode === 'pass' ? `target.task_id IS NULL AND ${exists}` : 'FALSE'} AS passed_over
    FROM input LEFT JOIN target USING (task_id) LEFT JOIN changed USING (task_id)
    ORDER BY input.position`;
}

/** The statuses that the task may have now, or `null` when any will do. */
export function allowedStatuses({
  updates,
  events,
}: Pick<GuardedChange, 'updates' | 'events'>): readonly string[] | null {
  if (updates?.status !== undefined) {
    return predecessorsOf(updates.status);
  }
  return events.length > 0 ? ACTIVE_STATUSES : null;
}

function settings(flags: number): string[] {
  const when = (flag: number, column: string, value: string): string =>
    `${column} = CASE WHEN input.flags & ${flag} <> 0 THEN ${value} ELSE task.${column} END`;
  return [
    'last_event_sequence = task.last_event_sequence + input.event_count',
    ...(flags & UPDATES
      ? [
          `version = task.version + (input.flags & ${UPDATES})`,
          when(UPDATES, 'updated_at', 'NOW()'),
        ]
      : []),
    ...(flags & ENDS
      ? [
          when(ENDS, 'finished_at', 'NOW()'),
          when(ENDS, 'lease_owner', 'NULL'),
          when(ENDS, 'lease_expires_at', 'NULL'),
          when(ENDS, 'sealed_request', 'NULL'),
        ]
      : []),
    ...(flags & STARTS ? [when(STARTS, 'started_at', 'NOW()')] : []),
    ...fieldsOf(flags).map(({ flag, column, cast }) =>
      when(flag, column, `input.new_${column}${cast}`),
    ),
  ];
}

/** Whether the update ends the task for good. */
export function endsTask(updates: TaskUpdates | null): boolean {
  return updates?.status !== undefined && isTerminal(updates.status);
}
