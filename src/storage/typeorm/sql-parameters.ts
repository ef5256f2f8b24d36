/** Collects the values of a statement and hands out their placeholders. */
export class SqlParameters {
  readonly values: unknown[] = [];

  /** @returns the placeholder, such as `$3` */
  add(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** A statement that is ready to be sent. */
export interface SqlStatement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Under which connections keep the plan; left out, one is found for the text. */
  readonly name?: string | undefined;
}

/** Writes words as SQL text literals; only for constants, which the planner must see. */
export function sqlLiterals(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "''")}'`).join(', ');
}
