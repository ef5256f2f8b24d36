/** One column of the rows that a statement is given: its name, its type, and where its values are. */
export interface InputColumn<Row> {
  readonly name: string;
  readonly type: 'varchar' | 'text' | 'int' | 'boolean';
  readonly read: (row: Row) => string | number | boolean | null;
}

/**
 * Rows as something to select from. Several rows are one array for each column, so that the text of
 * the statement is the same for any number of them. A single row is given as it is: Postgres plans a
 * statement anew each time when it cannot know how short its arrays are. A column `position` counts
 * the rows from 1.
 *
 * @param before how many parameters of the statement come before
 */
export function inputText(
  alias: string,
  columns: readonly Pick<InputColumn<never>, 'name' | 'type'>[],
  isSingle: boolean,
  before: number,
): string {
  const names = [...columns.map(({ name }) => name), 'position'].join(', ');
  const values = columns.map(
    ({ type }, index) => `$${before + index + 1}::${type}${isSingle ? '' : '[]'}`,
  );
  return isSingle
    ? `(VALUES (${values.join(', ')}, 1::bigint)) AS ${alias} (${names})`
    : `unnest(${values.join(', ')}) WITH ORDINALITY AS ${alias} (${names})`;
}

/** The values for {@link inputText}; `isSingle` there says whether it is one row. */
export function inputValues<Row>(
  columns: readonly InputColumn<Row>[],
  rows: readonly Row[],
): unknown[] {
  const [onlyRow] = rows;
  return onlyRow !== undefined && rows.length === 1
    ? columns.map(({ read }) => read(onlyRow))
    : columns.map(({ read }) => rows.map((row) => read(row)));
}
