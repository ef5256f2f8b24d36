import type { JsonObject } from '../../task/json.js';
import { MASK, mapApiKeys, resolveMasks } from '../wire/secrets.js';

interface KnownKey {
  readonly apiKey: string;
  readonly account: string;
}

/** Where a key is sent to, and as whom: a key is for nothing else. */
function accountOf(holder: JsonObject): string {
  const { orgID = null, provider = null, apiEndpoint = null } = holder;
  return JSON.stringify([orgID, provider, apiEndpoint]);
}

/**
 * The API keys of the global configuration: in the memory of this process only, because what is
 * stored never holds a secret in clear. They end with the process and do not reach other replicas.
 */
export class ApiKeys {
  readonly #keys = new Map<string, KnownKey>();

  /**
   * Keeps the keys of a configuration that has been set. A mask leaves the key that is known: it is
   * what a client that read the configuration sends back.
   */
  remember(config: JsonObject): void {
    const paths = new Set<string>();
    mapApiKeys(config, (secret, holder, path) => {
      paths.add(path);
      if (typeof secret === 'string' && secret !== MASK) {
        this.#keys.set(path, { apiKey: secret, account: accountOf(holder) });
      }
      return null;
    });
    for (const path of this.#keys.keys()) {
      if (!paths.has(path)) {
        this.#keys.delete(path);
      }
    }
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
