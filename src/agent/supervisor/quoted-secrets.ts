import type { JsonObject } from '../../task/json.js';
import { mapTexts } from '../storable-text.js';
import { MASK, secretsOf } from '../wire/secrets.js';

/** Shorter keys are words that may mean something else. */
const MIN_SECRET_CHARACTERS = 8;

/** Each costs a search of all that a runner says. */
const MAX_ADDED_SECRETS = 50;

/** The secrets of a request, to be masked wherever its runner quotes them. */
export class QuotedSecrets {
  readonly #known: readonly string[];
  #added: readonly string[] = [];
  #secrets: readonly string[];

  /** @param others what is known to be secret beside what the request says is */
  constructor(request: JsonObject, others: readonly string[] = []) {
    this.#known = [...secretsOf(request), ...others].filter(isLong);
    this.#secrets = longestFirst(this.#known);
  }

  /** From now on these are masked too, until newer ones take their place. */
  add(secrets: readonly string[]): void {
    const added = new Set([...this.#added, ...secrets.filter(isLong)]);
    this.#added = [...added].slice(-MAX_ADDED_SECRETS);
    this.#secrets = longestFirst([...this.#known, ...this.#added]);
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

function isLong(secret: string): boolean {
  return secret.length >= MIN_SECRET_CHARACTERS;
}

/** One may be the beginning of another. */
function longestFirst(secrets: readonly string[]): readonly string[] {
  return [...new Set(secrets)].toSorted((one, other) => other.length - one.length);
}
