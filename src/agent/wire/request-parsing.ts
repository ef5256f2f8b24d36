import { z } from 'zod';
import { InvalidTaskError } from '../../task/errors.js';
import { assertStorableText } from '../../task/json.js';
import { InvalidRequestError } from '../agent-errors.js';

/*
 * What comes over the wire, checked. The decoder leaves a field out when it was not sent, keeps the
 * number of an enum value that it does not know. What it would change silently does not come so far.
 */

/** Takes the place of a request that cannot be decoded as its client meant it. */
export class RefusedRequest {
  /** @param field its path; `request` for the whole */
  constructor(
    readonly field: string,
    readonly problem: string,
  ) {}
}

/** A request that has nothing to say. */
export const emptyRequestSchema = z.object({});

/** Text to be stored; the empty text is the same as none. */
export const optionalText = z
  .string()
  .superRefine((value, context) => {
    try {
      assertStorableText(value, '');
    } catch (error) {
      if (!(error instanceof InvalidTaskError)) {
        throw error;
      }
      context.addIssue({ code: 'custom', message: error.message.trim() });
    }
  })
  .optional()
  .transform((value) => (value === '' ? undefined : value));

/** Answers repeat the id, and must fit into what a client takes. */
const MAX_SOUGHT_CHARACTERS = 1_000;

/** An id to look up: whatever it is, at worst there is nothing of that name. */
export const soughtId = z
  .string()
  .default('')
  .refine((value) => value.length <= MAX_SOUGHT_CHARACTERS, {
    error: `is longer than any id; send at most ${MAX_SOUGHT_CHARACTERS} characters`,
  })
  .transform((value) => value.toWellFormed());

/** A value of an enum by its name; the undefined one is the same as none. */
export function optionalEnum<const T extends string>(undefinedName: string, names: readonly T[]) {
  return z
    .enum([undefinedName, ...names], { error: 'is not a known value; use one of the definition' })
    .optional()
    .transform((value) => names.find((name) => name === value));
}

/** @throws {InvalidRequestError} naming the first field that is wrong */
export function parseRequest<Schema extends z.ZodType>(
  schema: Schema,
  request: unknown,
): z.output<Schema> {
  if (request instanceof RefusedRequest) {
    throw new InvalidRequestError(request.field, request.problem);
  }
  const result = schema.safeParse(request);
  if (result.success) {
    return result.data;
  }
  const [issue] = result.error.issues;
  throw new InvalidRequestError(
    issue?.path.join('.') ?? 'request',
    issue?.code === 'custom' || issue?.code === 'invalid_value'
      ? issue.message
      : 'is not what the definition says',
  );
}
