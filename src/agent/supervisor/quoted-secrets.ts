import type { JsonObject } from '../../task/json.js';
import { mapTexts } from '../storable-text.js';
import { MASK, mapApiKeys } from '../wire/secrets.js';

/** Shorter keys are words that may mean something else. */
const MIN_SECRET_CHARACTERS = 8;

/** The API keys of a request, to be masked wherever its runner quotes them. */
export class QuotedSecrets {
  readonly #secrets: readonly string[];

  constructor(request: JsonObject) {
    const secrets = new Set<string>();
    mapApiKeys(request, (secret) => {
      if (typeof secret === 'string' && secret.length >= MIN_SECRET_CHARACTERS) {
        secrets.add(secret);
      }
      return null;
    });
    // One may be the beginning of another.
    this.#secrets = [...secrets].toSorted((one, other) => other.length - one.length);
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
