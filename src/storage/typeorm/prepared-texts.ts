import { createHash } from 'node:crypto';
import type { SchemaNames } from './schema-names.js';

/** The text of a statement, and the name under which connections keep its plan. */
export interface PreparedText {
  readonly text: string;
  /** Left out when there are too many texts to keep plans for. */
  readonly name: string | undefined;
}

/** Each connection keeps the plans of so many texts of this process. */
const MAX_NAMED_TEXTS = 300;

/** What Postgres plans; everything else has nothing to keep. */
const PLANNED = /^\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b/;

const namedTexts = new Map<string, PreparedText>();

/** Names a text with a name that stands for it alone, whoever else prepares statements on a session. */
export function prepareText(text: string): PreparedText {
  const known = namedTexts.get(text);
  if (known !== undefined) {
    return known;
  }
  if (namedTexts.size >= MAX_NAMED_TEXTS || !PLANNED.test(text)) {
    return { text, name: undefined };
  }
  const hash = createHash('sha256').update(text).digest('base64url').slice(0, 22);
  const prepared = { text, name: `task_storage_${hash}` };
  namedTexts.set(text, prepared);
  return prepared;
}

/** What holds, as one number; of at most 31 things. */
export function bitsOf(flags: readonly boolean[]): number {
  let bits = 0;
  for (let index = 0; index < flags.length; index += 1) {
    bits |= flags[index] === true ? 1 << index : 0;
  }
  return bits;
}

/** Something that a row may ask for, and that costs nothing where none does. */
export interface OptionalPart<Row> {
  readonly isGiven: (row: Row) => boolean;
}

/** Which of the parts any of the rows asks for, as bits. */
export function givenBits<Row>(parts: readonly OptionalPart<Row>[], rows: readonly Row[]): number {
  let bits = 0;
  for (const row of rows) {
    for (let index = 0; index < parts.length; index += 1) {
      bits |= parts[index]?.isGiven(row) === true ? 1 << index : 0;
    }
  }
  return bits;
}

/** The parts that {@link givenBits} says are asked for. */
export function givenParts<Part>(parts: readonly Part[], bits: number): readonly Part[] {
  return parts.filter((_, index) => bits & (1 << index));
}

/**
 * Keeps statements by what their texts depend on, because writing a long text costs as much as the
 * rest of a call.
 */
export class PreparedTexts<Written extends { readonly text: string }> {
  readonly #written = new WeakMap<SchemaNames, Map<number, Written & PreparedText>>();

  /** @param shape all that the text depends on beside the names, as bits; few different ones */
  of(names: SchemaNames, shape: number, write: () => Written): Written & PreparedText {
    const known = this.#written.get(names)?.get(shape);
    if (known !== undefined) {
      return known;
    }
    const fresh = write();
    const written = { ...fresh, ...prepareText(fresh.text) };
    const ofNames = this.#written.get(names) ?? new Map<number, Written & PreparedText>();
    if (ofNames.size < MAX_NAMED_TEXTS) {
      this.#written.set(names, ofNames.set(shape, written));
    }
    return written;
  }
}
