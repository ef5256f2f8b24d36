import { InvalidTaskError } from './errors.js';
import { assertStorableText, copyUncheckedJson, isPlainObject, kindOf } from './json.js';

/* How single values are checked, so that every backend accepts and refuses the same. */

/** The largest value of a Postgres INTEGER. */
export const MAX_INTEGER = 2_147_483_647;

/** The most tasks or events that one call answers, and the most events that one call adds. */
export const MAX_PAGE_SIZE = 1000;

/** The width of the id columns of the original table. */
const MAX_ID_LENGTH = 255;

/** Refuses a value, naming its kind and not the value, which may be confidential. */
export function refuse(field: string, value: unknown, expected: string): never {
  throw new InvalidTaskError(field, `is ${kindOf(value)}; it must be ${expected}`);
}

export function assertRecord(
  value: unknown,
  field: string,
): asserts value is Record<string, unknown> {
  if (!isPlainObject(value)) {
    refuse(field, value, 'a plain object');
  }
}

/** A misspelt option would silently not hold: `status` for `statuses` would delete too much. */
export function assertOptions(options: unknown, known: readonly string[]): void {
  assertRecord(options, 'options');
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new InvalidTaskError(
        name.slice(0, 80),
        `is not an option here; known are ${known.join(', ')}`,
      );
    }
  }
}

export function text(value: unknown, field: string): string {
  if (typeof value !== 'string') {
    return refuse(field, value, 'text');
  }
  assertStorableText(value, field);
  return value;
}

/** Text whose length Postgres counts in characters, where JavaScript counts UTF-16 units. */
export function shortText(maxLength: number) {
  return (value: unknown, field: string): string => {
    const parsed = text(value, field);
    if (parsed.length > maxLength && Array.from(parsed).length > maxLength) {
      throw new InvalidTaskError(field, `is longer than ${maxLength} characters`);
    }
    return parsed;
  };
}

const idText = shortText(MAX_ID_LENGTH);

export function identifier(value: unknown, field: string): string {
  const parsed = idText(value, field);
  if (parsed === '') {
    throw new InvalidTaskError(field, `is empty; it must have 1 to ${MAX_ID_LENGTH} characters`);
  }
  return parsed;
}

export function wholeNumber(minimum: number, maximum: number) {
  return (value: unknown, field: string): number => {
    if (
      typeof value !== 'number' ||
      !Number.isInteger(value) ||
      value < minimum ||
      value > maximum
    ) {
      return refuse(field, value, `a whole number from ${minimum} to ${maximum}`);
    }
    return value;
  };
}

/** A count, or `null` when there is none to keep to. */
export function optionalCount(value: unknown, field: string): number | null {
  return value === undefined ? null : wholeNumber(0, MAX_INTEGER)(value, field);
}

export function boolean(value: unknown, field: string): boolean {
  return typeof value === 'boolean' ? value : refuse(field, value, 'true or false');
}

export function oneOf<T extends string>(allowed: readonly T[]) {
  return (value: unknown, field: string): T => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) {
      const seen = typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : kindOf(value);
      throw new InvalidTaskError(field, `is ${seen}; it must be ${allowed.join(', ')}`);
    }
    return found;
  };
}

export function nullable<T>(parse: (value: unknown, field: string) => T) {
  return (value: unknown, field: string): T | null => (value === null ? null : parse(value, field));
}

/** @throws {InvalidTaskError} naming the first value inside that JSON or Postgres cannot hold */
export const jsonObject = nullable(copyUncheckedJson);
