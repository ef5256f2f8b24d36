import { copyUncheckedJson, isPlainObject, MAX_JSON_DEPTH, type JsonObject } from '../task/json.js';

/*
 * What runners say, made storable: models emit NUL characters and lone surrogates, which Postgres
 * refuses, and a run must not fail for them.
 */

const REPLACEMENT_CHARACTER = '\u{FFFD}';

/** Replaces what no backend can hold by U+FFFD. Not every runner is checked by TypeScript. */
export function storableText(text: unknown): string {
  return String(text).replaceAll('\0', REPLACEMENT_CHARACTER).toWellFormed();
}

/** The same, cut to a number of characters as Postgres counts them. */
export function storableWord(text: unknown, maxCharacters: number): string {
  const storable = storableText(text);
  return storable.length <= maxCharacters
    ? storable
    : Array.from(storable).slice(0, maxCharacters).join('');
}

function withTexts(value: unknown, map: (text: string) => string, depth: number): unknown {
  if (typeof value === 'string') {
    return map(value);
  }
  if (depth > MAX_JSON_DEPTH) {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map((item) => withTexts(item, map, depth + 1));
  }
  if (isPlainObject(value)) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => [map(key), withTexts(item, map, depth + 1)]),
    );
  }
  return value;
}

/** Copies JSON and changes its texts, in keys too. What is no JSON stays as it is. */
export function mapTexts<T>(value: T, map: (text: string) => string): T;
export function mapTexts(value: unknown, map: (text: string) => string): unknown {
  return withTexts(value, map, 0);
}

/**
 * Copies a JSON object. Its text is made storable, in keys too, and keys whose value is `undefined`
 * are left out, as JSON.stringify does.
 *
 * @throws {InvalidTaskError} naming the first value that JSON cannot say, such as a `Date`
 */
export function storableJson(value: unknown, field: string): JsonObject {
  return copyUncheckedJson(withTexts(value, storableText, 0), field);
}
