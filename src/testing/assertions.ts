import assert from 'node:assert/strict';
import { types } from 'node:util';
import { InvalidTaskError, TaskStorageError, type TaskStorageErrorCode } from '../task/errors.js';
import { isPlainObject } from '../task/json.js';

/** Rebuilds plain values, because a test runner's own realm gives them other prototypes. */
function inThisRealm(value: unknown): unknown {
  if (Array.isArray(value)) {
    return Array.from(value, inThisRealm);
  }
  if (types.isDate(value)) {
    return new Date(value.getTime());
  }
  if (isPlainObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inThisRealm(item)]));
  }
  return value;
}

/** Fails unless both are the same plain data, to the last own key. */
export function assertSame(actual: unknown, expected: unknown, message?: string): void {
  assert.deepEqual(inThisRealm(actual), inThisRealm(expected), message);
}

/** @returns the error that the operation rejects with; fails when it answers or throws at once */
export async function rejectionOf(operation: () => Promise<unknown>): Promise<TaskStorageError> {
  const running = operation();
  assert.equal(typeof running.then, 'function', 'The operation did not answer a promise');
  const outcome = await running.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('value' in outcome) {
    assert.fail(`The operation answered ${JSON.stringify(outcome.value)}; it must reject`);
  }
  if (!(outcome.error instanceof TaskStorageError)) {
    throw new assert.AssertionError({
      message: `The operation rejected with ${String(outcome.error)}; it must be a TaskStorageError`,
      actual: outcome.error,
    });
  }
  return outcome.error;
}

/** Fails unless the operation rejects with a `TaskStorageError` of the code. */
export async function assertRejects(
  code: TaskStorageErrorCode,
  operation: () => Promise<unknown>,
): Promise<TaskStorageError> {
  const error = await rejectionOf(operation);
  assert.equal(error.code, code, `The operation rejected with ${error.code}: ${error.message}`);
  return error;
}

/** Fails unless the operation refuses the value of this field, or of something inside it. */
export async function assertInvalid(
  field: string,
  operation: () => Promise<unknown>,
): Promise<void> {
  const error = await assertRejects('INVALID', operation);
  assert.ok(error instanceof InvalidTaskError, 'The error must be an InvalidTaskError');
  assert.ok(
    error.field === field ||
      error.field.startsWith(`${field}.`) ||
      error.field.startsWith(`${field}[`),
    `The error names the field ${error.field}; it must name ${field}`,
  );
}

/**
 * Starts all operations at once.
 *
 * @returns how often each answer came, with the codes of errors beside the values
 */
export async function tally(
  operations: readonly (() => Promise<unknown>)[],
): Promise<Record<string, number>> {
  const answers = await Promise.all(
    operations.map((operation) =>
      operation().then(String, (error: unknown) => {
        if (error instanceof TaskStorageError) {
          return error.code;
        }
        throw error;
      }),
    ),
  );
  const counts: Record<string, number> = {};
  for (const answer of answers) {
    counts[answer] = (counts[answer] ?? 0) + 1;
  }
  return counts;
}

/** The same operation many times, each with its index, for {@link tally}. */
export function times<T>(
  count: number,
  operation: (index: number) => Promise<T>,
): (() => Promise<T>)[] {
  return Array.from({ length: count }, (_, index) => () => operation(index));
}
