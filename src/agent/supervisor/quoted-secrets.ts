import type { JsonObject } from '../../task/json.js';
import { mapTexts } from '../storable-text.js';
import { MASK, secretsOf } from '../wire/secrets.js';

/** Shorter keys are words that may mean something else. */
const MIN_SECRET_CHARACTERS = 8;

/** The secrets of a request, to be masked wherever its runner quotes them. */
export class QuotedSecrets {
  #secrets: readonly string[] = [];

  constructor(request: JsonObject) {
    this.add(secretsOf(request));
  }

  /** From now on these are masked too. */
  add(secrets: readonly string[]): void {
    const long = secrets.filter((secret) => secret.length >= MIN_SECRET_CHARACTERS);
    // One may be the beginning of another.
    this.#secrets = [...new Set([...this.#secrets, ...long])].toSorted(
      (one, other) => other.length - one.length,
    );
  }

  /** Not every runner is checked by TypeScript, so a text may be anything. */
  maskText(text: unknown): string {
    return this.#secrets.reduce((masked, secret) => masked.replaceAll(secret, MASK), String(text));
  }

  /** Copies JSON with the keys masked, at whatever depth. */
  maskTexts<T>(value: T): T {
    return this.#secrets.length === 0 ? value : mapTexts(value, (text) => this.maskText(text));
  }
}
