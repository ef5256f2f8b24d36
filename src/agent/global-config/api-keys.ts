import { z } from 'zod';
import type { JsonObject } from '../../task/json.js';
import { MASK, mapApiKeys, resolveMasks } from '../wire/secrets.js';

const knownKeys = z.array(
  z.tuple([z.string(), z.object({ apiKey: z.string(), account: z.string() })]),
);

type KnownKeys = z.output<typeof knownKeys>;

/** Where a key is sent to, and as whom: a key is for nothing else. */
function accountOf(holder: JsonObject): string {
  const { orgID = null, provider = null, apiEndpoint = null } = holder;
  return JSON.stringify([orgID, provider, apiEndpoint]);
}

/** The API keys of the global configuration, apart from it, because it is stored with masks. */
export class ApiKeys {
  readonly #keys: ReadonlyMap<string, KnownKeys[number][1]>;

  constructor(known: KnownKeys = []) {
    this.#keys = new Map(known);
  }

  /** @throws {Error} when the text is not what {@link serialize} wrote */
  static parse(text: string): ApiKeys {
    return new ApiKeys(knownKeys.parse(JSON.parse(text)));
  }

  get size(): number {
    return this.#keys.size;
  }

  /** @returns the keys in clear: to be sealed, and for nothing else */
  serialize(): string {
    return JSON.stringify([...this.#keys]);
  }

  /**
   * @param config one that has been set; a mask in it leaves the key that is known, because it is
   *   what a client that read the configuration sends back
   * @returns the keys that hold from then on
   */
  afterSetting(config: JsonObject): ApiKeys {
    const keys: KnownKeys = [];
    mapApiKeys(config, (secret, holder, path) => {
      const known = this.#keys.get(path);
      if (typeof secret === 'string' && secret !== MASK) {
        keys.push([path, { apiKey: secret, account: accountOf(holder) }]);
      } else if (known !== undefined) {
        keys.push([path, known]);
      }
      return null;
    });
    return new ApiKeys(keys);
  }

  /**
   * Puts the keys in the place of their masks, into the stored configuration or into one that a
   * client has read and sends back. One that is not known here, or that was set for another
   * account, is left out: a runner gets the right key or none.
   */
  restore(config: JsonObject): JsonObject {
    return resolveMasks(config, (holder, path) => {
      const known = this.#keys.get(path);
      return known !== undefined && known.account === accountOf(holder) ? known.apiKey : null;
    });
  }
}
