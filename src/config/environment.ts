import { z } from 'zod';
import { ConfigurationError } from './configuration-error.js';

/** Where variables are read from; Nest's ConfigService is one. */
export interface EnvironmentSource {
  get(name: string): unknown;
}

/** Any text, such as a path. It is never refused, so no error repeats it: fit for secrets. */
export function text(): z.ZodType<string | undefined, string | undefined>;
export function text(defaultValue: string): z.ZodType<string, string | undefined>;
export function text(defaultValue?: string): z.ZodType<string | undefined, string | undefined> {
  return z
    .string()
    .optional()
    .transform((value) => value ?? defaultValue);
}

/** One of a few words, upper or lower case. */
export function choice<const T extends string>(
  words: readonly [T, ...T[]],
  defaultValue: NoInfer<T>,
): z.ZodType<T, string | undefined> {
  return z
    .string()
    .optional()
    .transform((value, context) => {
      const found = words.find(
        (word) => word.toLowerCase() === (value ?? defaultValue).toLowerCase(),
      );
      return found ?? refuse(context, `write ${listOf(words)}`);
    });
}

/** A whole number within bounds. Without a default, a variable that is not set is `undefined`. */
export function integer(bounds: {
  minimum: number;
  maximum?: number;
  defaultValue: number;
}): z.ZodType<number, string | undefined>;
export function integer(bounds: {
  minimum: number;
  maximum?: number;
}): z.ZodType<number | undefined, string | undefined>;
export function integer(bounds: {
  minimum: number;
  maximum?: number;
  defaultValue?: number;
}): z.ZodType<number | undefined, string | undefined> {
  const { minimum, maximum = Number.MAX_SAFE_INTEGER, defaultValue } = bounds;
  const upTo = maximum === Number.MAX_SAFE_INTEGER ? 'up' : `to ${maximum}`;
  return z
    .string()
    .optional()
    .transform((value, context) => {
      if (value === undefined) {
        return defaultValue;
      }
      const parsed = Number(value);
      const fits = Number.isSafeInteger(parsed) && parsed >= minimum && parsed <= maximum;
      return fits ? parsed : refuse(context, `write a whole number from ${minimum} ${upTo}`);
    });
}

/** A switch: `1` or `true`, `0` or `false`. */
export function flag(defaultValue: boolean): z.ZodType<boolean, string | undefined> {
  return choice(['1', '0', 'true', 'false'], defaultValue ? '1' : '0').transform(
    (word) => word === '1' || word === 'true',
  );
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}

function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** An empty variable is one that is not set: compose files and `.env` files write it so. */
function valueOf(source: EnvironmentSource, name: string): string | undefined {
  const value = source.get(name);
  if (value === undefined || value === null) {
    return undefined;
  }
  const written = typeof value === 'string' ? value.trim() : JSON.stringify(value);
  return written === '' ? undefined : written;
}

/**
 * Reads and checks every variable of a schema.
 *
 * @param schema from the name of a variable to the parser of its text
 * @throws {ConfigurationError} with one sentence for each variable that is wrong
 */
export function readEnvironment<Schema extends z.ZodObject>(
  schema: Schema,
  source: EnvironmentSource,
): z.output<Schema> {
  const names = Object.keys(schema.shape);
  const written = Object.fromEntries(names.map((name) => [name, valueOf(source, name)]));
  const result = schema.safeParse(written);
  if (result.success) {
    return result.data;
  }
  const problems = result.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return `${name} is ${JSON.stringify(written[name])}; ${issue.message}`;
  });
  throw new ConfigurationError(problems.join('. '));
}
