import { z } from 'zod';
import { isPlainObject, type JsonObject, type JsonValue } from '../../task/json.js';
import { TASK_JSON_FIELDS } from '../../task/task.js';
import { MASK } from '../wire/secrets.js';

/** The fields of a task that rules can reach into. */
export type RedactedField = (typeof TASK_JSON_FIELDS)[number];

/** Any one key of an object, or index of an array. */
const ANY = '*';

interface Rule {
  readonly field: RedactedField;
  readonly steps: readonly string[];
}

/** A path such as `requestData.sandbox.description` or `sandboxInfo.*.token`. */
const rulePath = z.string().transform((path, context): Rule => {
  const [root, ...steps] = path.trim().split('.');
  const field = TASK_JSON_FIELDS.find((name) => name === root);
  const refuse = (problem: string): never => {
    context.addIssue({ code: 'custom', message: `${JSON.stringify(path)} ${problem}` });
    return z.NEVER;
  };
  if (field === undefined) {
    return refuse(
      `does not begin with ${TASK_JSON_FIELDS.join(', ')}; write for example sandboxInfo.*.token`,
    );
  }
  if (steps.length === 0 || steps.some((step) => step === '')) {
    return refuse('lacks a name between or after its dots; write for example sandboxInfo.*.token');
  }
  if (steps.some((step) => step !== ANY && step.includes(ANY))) {
    return refuse('has a * within a name; a * stands for a whole name');
  }
  if (
    field === 'requestData' &&
    steps.length === 1 &&
    [ANY, 'instruction'].includes(steps[0] ?? '')
  ) {
    // It is stored as the query of the task as well, and is what people see of a task.
    return refuse('covers the instruction, which cannot be redacted; name other fields');
  }
  return { field, steps };
});

/** A list of paths, as an array or separated by commas. */
export const redactionPaths = z
  .string()
  .optional()
  .transform((text, context): readonly string[] | undefined => {
    const paths = text === undefined ? undefined : splitPaths(text);
    const parsed = z.array(rulePath).safeParse(paths ?? []);
    parsed.error?.issues.forEach(({ message }) => context.addIssue({ code: 'custom', message }));
    return paths;
  });

/** Options in code are an array, which comes here as JSON. */
function splitPaths(text: string): readonly string[] {
  try {
    return z.array(z.string()).parse(JSON.parse(text));
  } catch {
    return text
      .split(',')
      .map((path) => path.trim())
      .filter((path) => path !== '');
  }
}

/**
 * Which fields of a task hold secrets of the application: they reach the runner, and nothing that is
 * stored or shown.
 */
export class RedactionRules {
  readonly #rules: readonly Rule[];

  /** @param paths as `redactionPaths` has checked them */
  constructor(paths: readonly string[] = []) {
    this.#rules = z.array(rulePath).parse(paths);
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** Copies JSON with what the rules name masked, whatever it is. */
  redact(field: RedactedField, json: JsonObject): JsonObject {
    return this.#of(field).reduce<JsonObject>((copy, steps) => maskIn(copy, steps, () => {}), json);
  }

  /** @returns the texts within what the rules name, to be masked wherever they are quoted */
  secretsIn(field: RedactedField, json: JsonObject): readonly string[] {
    const secrets: string[] = [];
    for (const steps of this.#of(field)) {
      maskIn(json, steps, (value) => collectTexts(value, secrets));
    }
    return secrets;
  }

  #of(field: RedactedField): readonly (readonly string[])[] {
    return this.#rules.filter((rule) => rule.field === field).map(({ steps }) => steps);
  }
}

function maskIn(
  source: JsonObject,
  [step = ANY, ...rest]: readonly string[],
  onFound: (value: JsonValue) => void,
): JsonObject {
  return Object.fromEntries(
    Object.entries(source).map(([key, value]) => [
      key,
      step === ANY || step === key ? masked(value, rest, onFound) : value,
    ]),
  );
}

function masked(
  value: JsonValue,
  steps: readonly string[],
  onFound: (value: JsonValue) => void,
): JsonValue {
  if (steps.length === 0) {
    onFound(value);
    return MASK;
  }
  if (Array.isArray(value)) {
    const [step, ...rest] = steps;
    return value.map((item, index) =>
      step === ANY || step === String(index) ? masked(item, rest, onFound) : item,
    );
  }
  return isPlainObject(value) ? maskIn(value, steps, onFound) : value;
}

function collectTexts(value: JsonValue, texts: string[]): void {
  if (typeof value === 'string') {
    texts.push(value);
  } else if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach((item) => collectTexts(item, texts));
  }
}
