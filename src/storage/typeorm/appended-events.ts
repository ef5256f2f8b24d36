import type { NewTaskEvent } from '../../task/task-event.js';
import { inputText, inputValues, type InputColumn } from './input-rows.js';
import type { SchemaNames } from './schema-names.js';

/** An event of one of the rows of a statement. */
export interface AppendedEvent extends NewTaskEvent {
  /** The position of the row that it belongs to. */
  readonly row: number;
  /** Its place among the new events of that row, from 1. */
  readonly place: number;
}

const COLUMNS: readonly InputColumn<AppendedEvent>[] = [
  { name: 'row', type: 'int', read: ({ row }) => row },
  { name: 'place', type: 'int', read: ({ place }) => place },
  { name: 'stage', type: 'text', read: ({ stage }) => stage },
  { name: 'message', type: 'text', read: ({ message }) => message },
];

/** The events of all rows of a statement, the rows in the order of their positions. */
export function eventsOf(
  rows: readonly { readonly events: readonly NewTaskEvent[] }[],
): readonly AppendedEvent[] {
  const appended: AppendedEvent[] = [];
  rows.forEach(({ events }, row) => {
    events.forEach(({ stage, message }, place) => {
      appended.push({ row: row + 1, place: place + 1, stage, message });
    });
  });
  return appended;
}

/** How many events a statement adds, as far as its text depends on it. */
export type EventsShape = 'none' | 'one' | 'many';

export function shapeOf(events: readonly AppendedEvent[]): EventsShape {
  if (events.length === 0) {
    return 'none';
  }
  return events.length === 1 ? 'one' : 'many';
}

/**
 * The part of a statement, if any, that adds events to the rows that `source` holds: their `task_id`,
 * `position`, `event_count`, and `last_event_sequence` with the new events counted in. The last
 * event of each carries the status.
 *
 * @param status SQL for the status, of a row of `source`
 * @param before how many parameters of the statement come before those of the events
 */
export function appendEvents(
  names: SchemaNames,
  source: string,
  status: string,
  shape: EventsShape,
  before: number,
): string[] {
  if (shape === 'none') {
    return [];
  }
  return [
    `appended AS (
    INSERT INTO ${names.events} (task_id, sequence, stage, message, status)
    SELECT ${source}.task_id, ${source}.last_event_sequence - ${source}.event_count + event.place,
      event.stage, event.message, CASE WHEN event.place = ${source}.event_count THEN ${status} END
    FROM ${source} JOIN ${inputText('event', COLUMNS, shape === 'one', before)}
      ON event.row = ${source}.position
  )`,
  ];
}

/** The parameters of {@link appendEvents}. */
export function eventValues(events: readonly AppendedEvent[]): unknown[] {
  return events.length === 0 ? [] : inputValues(COLUMNS, events);
}

/** How many parameters {@link appendEvents} has. */
export function eventParameters(shape: EventsShape): number {
  return shape === 'none' ? 0 : COLUMNS.length;
}
