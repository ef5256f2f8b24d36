import { InvalidTaskError } from './errors.js';

/** Any value that JSON can say. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  [key: string]: JsonValue;
}

/**
 * How deep JSON may nest. Parsers recurse: Postgres gives up with "stack depth limit exceeded" and
 * JavaScript with a RangeError, at depths that differ from machine to machine. This one does not.
 */
export const MAX_JSON_DEPTH = 256;

/**
 * What Postgres cannot hold in text: NUL (SQLSTATE 22021, 22P05) and lone surrogates (22P02), both
 * of which language models do emit. Refusing them everywhere keeps the backends alike.
 *
 * @returns the problem in words, or `null` when the text can be stored
 */
function problemOfText(text: string): string | null {
  const nul = text.indexOf('\0');
  if (nul >= 0) {
    return `has a NUL character at index ${nul}; remove it`;
  }
  return text.isWellFormed()
    ? null
    : 'has a surrogate without its other half; make it well-formed, for example with toWellFormed()';
}

/** @throws {InvalidTaskError} when no backend can hold the text */
export function assertStorableText(text: string, field: string): void {
  const problem = problemOfText(text);
  if (problem !== null) {
    throw new InvalidTaskError(field, problem);
  }
}

/** Whether it is a plain object, of any realm: class instances, dates and maps are not. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return false;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Names a value's kind for an error message, without quoting the value. */
export function kindOf(value: unknown): string {
  if (value === null || typeof value === 'undefined' || typeof value === 'number') {
    return String(value);
  }
  const kind =
    typeof value === 'object' ? Object.prototype.toString.call(value).slice(8, -1) : typeof value;
  return /^[aeiou]/i.test(kind) ? `an ${kind}` : `a ${kind}`;
}

/** Sets a key as plain data; an assignment to `__proto__` would set the prototype instead. */
function setKey(target: JsonObject, key: string, value: JsonValue): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  } else {
    target[key] = value;
  }
}

/** Checks and copies in one pass, so that nothing can change between the check and the copy. */
class CheckedCopy {
  readonly #path: (string | number)[] = [];

  constructor(private readonly field: string) {}

  object(source: Record<string, unknown>): JsonObject {
    if (Object.getOwnPropertySymbols(source).length > 0) {
      this.#refuse('has a symbol as a key; JSON has text keys only');
    }
    const copy: JsonObject = {};
    for (const key of Object.keys(source)) {
      const problem = problemOfText(key);
      if (problem !== null) {
        this.#refuse(`has the key ${JSON.stringify(key)}, which ${problem}`);
      }
      this.#path.push(key);
      setKey(copy, key, this.#value(source[key]));
      this.#path.pop();
    }
    return copy;
  }

  #value(value: unknown): JsonValue {
    if (this.#path.length >= MAX_JSON_DEPTH) {
      this.#refuse(`is nested deeper than ${MAX_JSON_DEPTH} levels`);
    }
    if (value === null || typeof value === 'boolean') {
      return value;
    }
    if (typeof value === 'string') {
      const problem = problemOfText(value);
      return problem === null ? value : this.#refuse(problem);
    }
    if (typeof value === 'number' && Number.isFinite(value)) {
      return value === 0 ? 0 : value;
    }
    if (Array.isArray(value)) {
      return this.#array(value);
    }
    if (isPlainObject(value)) {
      return this.object(value);
    }
    return this.#refuse(
      `is ${kindOf(value)}, which JSON cannot say; use null, a boolean, a finite number, text, an array or a plain object`,
    );
  }

  #array(source: readonly unknown[]): JsonValue[] {
    // Array.from visits holes too, which map would skip and so keep.
    return Array.from(source, (item, index) => {
      this.#path.push(index);
      const copy = this.#value(item);
      this.#path.pop();
      return copy;
    });
  }

  #refuse(problem: string): never {
    const path = this.#path.map((step) => {
      if (typeof step === 'number') {
        return `[${step}]`;
      }
      return /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
    });
    throw new InvalidTaskError(this.field + path.join(''), problem);
  }
}

/**
 * Copies a JSON object that comes from outside.
 *
 * @throws {InvalidTaskError} naming the first value that JSON or Postgres cannot hold
 */
export function copyUncheckedJson(value: unknown, field: string): JsonObject {
  if (!isPlainObject(value)) {
    throw new InvalidTaskError(field, `is ${kindOf(value)}; it must be a plain object or null`);
  }
  return new CheckedCopy(field).object(value);
}

/** Copies JSON that has been checked before. */
export function copyJson<T extends JsonValue>(value: T): T;
export function copyJson(value: JsonValue): JsonValue {
  if (Array.isArray(value)) {
    return value.map((item) => copyJson(item));
  }
  if (typeof value === 'object' && value !== null) {
    const copy: JsonObject = {};
    for (const key of Object.keys(value)) {
      setKey(copy, key, copyJson(value[key] ?? null));
    }
    return copy;
  }
  return value;
}
