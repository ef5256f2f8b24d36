import { InvalidRequestError } from '../agent-errors.js';

/** The metadata with which a client marks a call that it may repeat. */
export const IDEMPOTENCY_KEY = 'idempotency-key';

const MAX_CHARACTERS = 255;

/** Known by what it can do, because an application may have a grpc-js of its own. */
interface MetadataLike {
  get(key: string): unknown;
}

function isMetadata(value: unknown): value is MetadataLike {
  return (
    typeof value === 'object' && value !== null && 'get' in value && typeof value.get === 'function'
  );
}

function valuesIn(metadata: unknown): unknown[] {
  const values = isMetadata(metadata) ? metadata.get(IDEMPOTENCY_KEY) : [];
  return Array.isArray(values) ? values : [];
}

/**
 * @returns the key that the client has sent; `null` when it has sent none
 * @throws {InvalidRequestError} when it is empty, too long, or there are several
 */
export function parseIdempotencyKey(metadata: unknown): string | null {
  const values = valuesIn(metadata);
  const [key] = values;
  if (key === undefined) {
    return null;
  }
  if (values.length > 1) {
    throw new InvalidRequestError(IDEMPOTENCY_KEY, `was sent ${values.length} times; send one`);
  }
  if (typeof key !== 'string' || key.trim() === '' || key.length > MAX_CHARACTERS) {
    throw new InvalidRequestError(
      IDEMPOTENCY_KEY,
      `must be 1 to ${MAX_CHARACTERS} visible characters, such as a UUID`,
    );
  }
  return key;
}
