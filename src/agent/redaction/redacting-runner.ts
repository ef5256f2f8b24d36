import { InvalidTaskError } from '../../task/errors.js';
import { isPlainObject, type JsonObject } from '../../task/json.js';
import type { AgentOutcome, AgentProgress, AgentRun, AgentRunner } from '../agent-runner.js';
import { storableJson } from '../storable-text.js';
import { QuotedSecrets } from '../supervisor/quoted-secrets.js';
import { PROGRESS_FIELDS } from '../supervisor/task-progress.js';
import type { RedactionRules } from './redaction-rules.js';
import { runMasked } from './run-masked.js';

/**
 * A runner whose tasks tell nothing of what the rules name: those fields are masked in the progress
 * that it saves, and the values of those of its request and of its sandbox wherever it quotes them.
 */
export class RedactingRunner implements AgentRunner {
  readonly description: string;
  readonly resumable: boolean | undefined;

  constructor(
    private readonly inner: AgentRunner,
    private readonly rules: RedactionRules,
  ) {
    this.description = inner.description;
    this.resumable = inner.resumable;
  }

  async run(run: AgentRun): Promise<AgentOutcome> {
    const secrets = new QuotedSecrets(
      run.request,
      this.rules.secretsIn('requestData', run.request),
    );
    return runMasked(
      run,
      secrets,
      async (maskedRun) => this.inner.run(maskedRun),
      (progress) => this.#redact(progress, secrets),
    );
  }

  /** Not every runner is checked by TypeScript. */
  #redact(progress: AgentProgress, secrets: QuotedSecrets): AgentProgress {
    const redacted: AgentProgress = {};
    for (const field of PROGRESS_FIELDS) {
      const json: unknown = progress[field];
      const storable = isPlainObject(json) ? toStorable(json, field) : null;
      if (storable !== null) {
        if (field === 'sandboxInfo') {
          // Not what the others hold: texts of a conversation are many, and words that say nothing.
          secrets.add(this.rules.secretsIn(field, storable));
        }
        redacted[field] = this.rules.redact(field, storable);
      }
    }
    return redacted;
  }
}

/** @returns `null` for what JSON cannot say: nothing of it is stored, and the log says so */
function toStorable(json: object, field: string): JsonObject | null {
  try {
    return storableJson(json, field);
  } catch (error) {
    if (error instanceof InvalidTaskError) {
      return null;
    }
    throw error;
  }
}

/** @returns the runner itself when there are no rules */
export function withRedaction(
  runner: AgentRunner | null,
  rules: RedactionRules,
): AgentRunner | null {
  return runner === null || rules.isEmpty ? runner : new RedactingRunner(runner, rules);
}
