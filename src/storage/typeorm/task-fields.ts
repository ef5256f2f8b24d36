import type { Task } from '../../task/task.js';
import type { InputColumn } from './input-rows.js';
import { isJsonField, TASK_COLUMNS } from './task-columns.js';

/** A field of a task that a statement is given, and how its column takes it. */
export interface FieldColumn {
  readonly name: keyof Task;
  readonly column: string;
  readonly type: InputColumn<never>['type'];
  /** What turns the parameter into the column's own type. */
  readonly cast: '' | '::jsonb';
}

/** The values of fields as a statement takes them. A field that is not there is left as it is. */
export type FieldValues = Readonly<Partial<Record<keyof Task, string | number | null>>>;

const NUMBER_FIELDS: ReadonlySet<string> = new Set(['maxSteps', 'maxAttempts']);

/** @param names the fields, in the order in which statements are to have them */
export function fieldColumns(names: readonly (keyof Task)[]): readonly FieldColumn[] {
  return names.map((name) => ({
    name,
    column: TASK_COLUMNS[name],
    type: NUMBER_FIELDS.has(name) ? 'int' : 'text',
    cast: isJsonField(name) ? '::jsonb' : '',
  }));
}

/** The values of a parsed task or update. */
export function fieldValues(fields: object): FieldValues {
  const values: Record<string, string | number | null> = { ...fields };
  for (const field in values) {
    const value: unknown = values[field];
    if (typeof value === 'object' && value !== null) {
      // The driver would write a JavaScript array as a Postgres one, so JSON goes as text.
      values[field] = JSON.stringify(value);
    }
  }
  return values;
}

/** About how many bytes the values are. */
export function sizeOf(values: FieldValues): number {
  let size = 0;
  for (const value of Object.values(values)) {
    size += typeof value === 'string' ? value.length : 8;
  }
  return size;
}
