import { z } from 'zod';
import { InvalidTaskError } from '../../task/errors.js';
import { isPlainObject, type JsonValue } from '../../task/json.js';
import { storableJson } from '../storable-text.js';

const tokens = z.int().nonnegative().optional();

const messageSchemas = {
  stage: z.object({
    type: z.literal('stage'),
    stage: z.string().trim().min(1).max(255),
    message: z.string().default(''),
  }),
  statistics: z.object({
    type: z.literal('statistics'),
    steps: z.int32().nonnegative().optional(),
    duration_seconds: z.number().min(0).max(2_147_483_647).transform(Math.round).optional(),
    input_tokens: tokens,
    output_tokens: tokens,
    total_tokens: tokens,
    cost: z.number().nonnegative().optional(),
    currency_symbol: z.string().optional(),
  }),
  conversation: z.object({
    type: z.literal('conversation'),
    tool: z.string().min(1).max(255),
    messages: z.array(z.custom<JsonValue>()),
  }),
  sandbox: z.object({
    type: z.literal('sandbox'),
    id: z.string(),
    /** A number of the wire's `SandboxOS`. */
    os: z.int().min(0).max(3).optional(),
    shape_name: z.string().optional(),
  }),
  result: z.object({
    type: z.literal('result'),
    result: z.string(),
    finalState: z.string().trim().min(1).max(50).optional(),
  }),
};

const runnerMessage = z.discriminatedUnion('type', [
  messageSchemas.stage,
  messageSchemas.statistics,
  messageSchemas.conversation,
  messageSchemas.sandbox,
  messageSchemas.result,
]);

/** What a program may say in a JSON line. */
export type RunnerMessage = z.output<typeof runnerMessage>;

/** What one line of a program's stdout is. */
export type RunnerLine =
  | { readonly kind: 'message'; readonly message: RunnerMessage }
  /** A message of a known type whose fields do not fit, or that no storage could hold. */
  | { readonly kind: 'misfit'; readonly type: RunnerMessage['type']; readonly problem: string }
  /** Anything else, such as a log line. */
  | { readonly kind: 'text'; readonly text: string };

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isMessageType(type: unknown): type is RunnerMessage['type'] {
  return typeof type === 'string' && Object.hasOwn(messageSchemas, type);
}

function problemsOf(error: z.ZodError): string {
  return error.issues
    .map((issue) => [...issue.path.map(String), issue.message].join(': '))
    .join('; ');
}

/** Reads one line of a program's stdout. */
export function parseRunnerLine(line: string): RunnerLine {
  const value = line.trimStart().startsWith('{') ? parseJson(line) : undefined;
  if (!isPlainObject(value) || !isMessageType(value['type'])) {
    return { kind: 'text', text: line };
  }
  const type = value['type'];
  try {
    const { data, error } = runnerMessage.safeParse(storableJson(value, 'line'));
    return data === undefined
      ? { kind: 'misfit', type, problem: problemsOf(error) }
      : { kind: 'message', message: data };
  } catch (error) {
    if (error instanceof InvalidTaskError) {
      return { kind: 'misfit', type, problem: error.message };
    }
    throw error;
  }
}
