import { isPlainObject, type JsonObject, type JsonValue } from '../../task/json.js';
import { isSecretName } from './secret-names.js';

/** What stands for a secret in everything that is stored, answered or logged. */
export const MASK = '********';

/**
 * @param secret the value of the field
 * @param holder the message that it is a field of
 * @param path where the message is, such as `stageModelConfig.groundingModel`
 * @returns what to put in its place, or `null` to leave the field out
 */
type SecretMapper = (secret: JsonValue, holder: JsonObject, path: string) => JsonValue;

/** What becomes of the fields of some names, at whatever depth. */
type SecretMappers = ReadonlyMap<string, SecretMapper>;

/** The user and password of a URL, with or without its scheme. */
const URL_USER = /^((?:[a-z][a-z\d+.-]*:)?\/\/)?[^/?#]*@/i;
/** A parameter of a URL with a value: its name is the second part. */
const URL_PARAMETERS = /([?&]([^=&#]*)=)([^&#]*)/g;

const mask = () => MASK;

function maskEndpoint(endpoint: JsonValue): JsonValue {
  return typeof endpoint === 'string'
    ? endpoint
        .replace(URL_USER, `$1${MASK}@`)
        .replace(URL_PARAMETERS, (parameter, start: string, name: string) =>
          isSecretName(decoded(name)) ? start + MASK : parameter,
        )
    : endpoint;
}

const MASK_API_KEYS: SecretMappers = new Map([['apiKey', mask]]);
const MASK_CONFIG: SecretMappers = new Map<string, SecretMapper>([
  ['apiKey', mask],
  ['apiEndpoint', maskEndpoint],
]);
const MASK_REQUEST: SecretMappers = new Map([...MASK_CONFIG, ['orgID', mask]]);

function mapFields(source: JsonObject, mappers: SecretMappers, path: string): JsonObject {
  const entries = Object.entries(source).flatMap(([key, value]): [string, JsonValue][] => {
    const map = mappers.get(key);
    if (map === undefined) {
      return [[key, mapNested(value, mappers, path === '' ? key : `${path}.${key}`)]];
    }
    const mapped = map(value, source, path);
    return mapped === null ? [] : [[key, mapped]];
  });
  return Object.fromEntries(entries);
}

function mapNested(value: JsonValue, mappers: SecretMappers, path: string): JsonValue {
  if (Array.isArray(value)) {
    return value.map((item, index) => mapNested(item, mappers, `${path}.${index}`));
  }
  return isPlainObject(value) ? mapFields(value, mappers, path) : value;
}

/** Copies JSON, replacing every `apiKey` at whatever depth. */
export function mapApiKeys(source: JsonObject, map: SecretMapper): JsonObject {
  return mapFields(source, new Map([['apiKey', map]]), '');
}

/** @returns the secrets of a request, and what stands in its endpoints for a user and a password */
export function secretsOf(request: JsonObject): readonly string[] {
  const secrets: string[] = [];
  const collect = (secret: JsonValue): null => {
    if (typeof secret === 'string') {
      secrets.push(secret);
    }
    return null;
  };
  const collectFromEndpoint = (endpoint: JsonValue): null => {
    if (typeof endpoint === 'string') {
      secrets.push(...secretsOfEndpoint(endpoint));
    }
    return null;
  };
  mapFields(
    request,
    new Map([
      ['apiKey', collect],
      ['orgID', collect],
      ['apiEndpoint', collectFromEndpoint],
    ]),
    '',
  );
  return secrets;
}

/**
 * Copies a configuration that a client sends, perhaps after it has read the stored one: an endpoint
 * that was answered with masks becomes what is stored.
 *
 * @param onSecrets is told the path of an endpoint with other credentials or masks
 */
export function restoreEndpoints(
  config: JsonObject,
  stored: JsonObject,
  onSecrets: (path: string) => void,
): JsonObject {
  const known = new Map<string, JsonValue>();
  const remember = (endpoint: JsonValue, _holder: JsonObject, path: string): JsonValue => {
    known.set(path, endpoint);
    return endpoint;
  };
  const restore = (endpoint: JsonValue, _holder: JsonObject, path: string): JsonValue => {
    const before = known.get(path);
    if (before !== undefined && endpoint === maskEndpoint(before)) {
      return before;
    }
    if (maskEndpoint(endpoint) !== endpoint || JSON.stringify(endpoint).includes(MASK)) {
      onSecrets(path === '' ? 'apiEndpoint' : `${path}.apiEndpoint`);
    }
    return endpoint;
  };
  mapFields(stored, new Map([['apiEndpoint', remember]]), '');
  return mapFields(config, new Map([['apiEndpoint', restore]]), '');
}

/** Whoever quotes a URL may write its password as it is, or decoded. */
export function secretsOfEndpoint(endpoint: string): readonly string[] {
  const user = /^(?:(?:[a-z][a-z\d+.-]*:)?\/\/)?([^/?#]*)@/i.exec(endpoint)?.[1] ?? '';
  const password = user.slice(user.indexOf(':') + 1);
  const parameters = [...endpoint.matchAll(URL_PARAMETERS)].flatMap(
    ([, , name = '', value = '']) => (isSecretName(decoded(name)) ? [value] : []),
  );
  return [user, password, ...parameters].flatMap((text) => [text, decoded(text)]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Copies a configuration for an answer: a key is shown to be set, and nothing more. */
export function maskApiKeys(source: JsonObject): JsonObject {
  return mapFields(source, MASK_API_KEYS, '');
}

/** The same, with the credentials inside of endpoints masked too. */
export function maskConfig(source: JsonObject): JsonObject {
  return mapFields(source, MASK_CONFIG, '');
}

/** Copies a request for the storage, which never holds a secret in clear. */
export function maskRequest(request: JsonObject): JsonObject {
  return mapFields(request, MASK_REQUEST, '');
}

/**
 * Copies a configuration for a runner, which never gets a mask: a masked organization is left out,
 * and in the place of a masked key comes what is known.
 *
 * @param findKey answers the key of a message, or `null` to leave it out
 */
export function resolveMasks(
  source: JsonObject,
  findKey: (holder: JsonObject, path: string) => string | null,
): JsonObject {
  const mappers = new Map<string, SecretMapper>([
    ['apiKey', (secret, holder, path) => (secret === MASK ? findKey(holder, path) : secret)],
    ['orgID', (organization) => (organization === MASK ? null : organization)],
  ]);
  return mapFields(source, mappers, '');
}
