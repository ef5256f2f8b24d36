/** What is no whole number from 0 to the largest that is stored. */
export const NO_COUNTS: readonly unknown[] = [
  -1,
  1.5,
  Number.NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  '1',
  [],
  {},
];

/**
 * Calls a method with arguments of any type, as callers without a type checker do. `Reflect.apply`
 * takes the place of calls that TypeScript would refuse.
 */
export function call<K extends string>(
  target: Readonly<Record<K, (...given: never[]) => Promise<unknown>>>,
  method: K,
  ...given: unknown[]
): () => Promise<unknown> {
  return () => Reflect.apply(target[method], target, given);
}

/** What is no plain object. */
export class NotPlain {
  readonly taskId = 'task';
  readonly query = '';
  readonly maxSteps = 1;
}
