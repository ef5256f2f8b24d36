import { isPlainObject, type JsonObject, type JsonValue } from '../../task/json.js';

/** What stands for a secret in everything that is stored, answered or logged. */
export const MASK = '********';

const API_KEY = new Set(['apiKey']);
const API_KEY_AND_ORGANIZATION = new Set(['apiKey', 'orgID']);

/**
 * @param secret the value of the field
 * @param holder the message that it is a field of
 * @param path where the message is, such as `stageModelConfig.groundingModel`
 * @returns what to put in its place, or `null` to leave the field out
 */
type SecretMapper = (secret: JsonValue, holder: JsonObject, path: string) => string | null;

function mapFields(
  source: JsonObject,
  names: ReadonlySet<string>,
  map: SecretMapper,
  path: string,
): JsonObject {
  const entries = Object.entries(source).flatMap(([key, value]): [string, JsonValue][] => {
    if (!names.has(key)) {
      return [[key, mapNested(value, names, map, path === '' ? key : `${path}.${key}`)]];
    }
    const mapped = map(value, source, path);
    return mapped === null ? [] : [[key, mapped]];
  });
  return Object.fromEntries(entries);
}

function mapNested(
  value: JsonValue,
  names: ReadonlySet<string>,
  map: SecretMapper,
  path: string,
): JsonValue {
  if (Array.isArray(value)) {
    return value.map((item, index) => mapNested(item, names, map, `${path}.${index}`));
  }
  return isPlainObject(value) ? mapFields(value, names, map, path) : value;
}

/** Copies JSON, replacing every `apiKey` at whatever depth. */
export function mapApiKeys(source: JsonObject, map: SecretMapper): JsonObject {
  return mapFields(source, API_KEY, map, '');
}

/** Copies a configuration for an answer: a key is shown to be set, and nothing more. */
export function maskApiKeys(source: JsonObject): JsonObject {
  return mapApiKeys(source, () => MASK);
}

/** Copies a request for the storage, which never holds a secret in clear. */
export function maskRequest(request: JsonObject): JsonObject {
  return mapFields(request, API_KEY_AND_ORGANIZATION, () => MASK, '');
}

/** Copies a configuration that came back from a client: a mask in it is not a key. */
export function withoutMasks(source: JsonObject): JsonObject {
  return mapApiKeys(source, (secret) =>
    secret === MASK || typeof secret !== 'string' ? null : secret,
  );
}
