import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { ConfigurationError } from '../../config/configuration-error.js';

const VARIABLE = 'TASK_STORAGE_ENCRYPTION_KEYS';
const VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const ID_PATTERN = /^[A-Za-z0-9_-]{1,32}$/;
/** Key id, nonce, ciphertext, tag. 16 and 22 characters are 12 and 16 bytes. */
const SEALED_PATTERN = /^v1\.([\w-]{1,32})\.([\w-]{16})\.([\w-]*)\.([\w-]{22})$/;

const ID_PROBLEM = 'has a wrong id; write 1 to 32 letters, digits, "_" or "-"';
const KEY_PROBLEM =
  `has a key that is not ${KEY_BYTES} bytes of base64; ` +
  `make one with: openssl rand -base64 ${KEY_BYTES}`;

/** A key and its name. A `KeyObject` shows its bytes in no log. */
export interface EncryptionKey {
  /** 1 to 32 letters, digits, `_` or `-`. It is readable in all that the key seals. */
  readonly id: string;
  /** A secret of 32 bytes. */
  readonly key: KeyObject;
}

/** A sealed text that cannot be opened. The message quotes none of it but the id of its key. */
export class SealedTextError extends Error {
  override readonly name = 'SealedTextError';
}

/**
 * Reads the value of `TASK_STORAGE_ENCRYPTION_KEYS`: `id:base64key` pairs, separated by commas. The
 * first key encrypts, all decrypt.
 *
 * @throws {ConfigurationError} about the first wrong entry, which it names by its position only
 */
export function parseEncryptionKeys(text: string): readonly EncryptionKey[] {
  const keys = text.split(',').map((entry, index) => parseEntry(entry.trim(), index));
  checkKeys(keys);
  return keys;
}

/**
 * Encrypts texts so that they can be read only with its keys, and only in the context that they
 * were written for. The first key encrypts, all decrypt.
 *
 * Nonces are random: replace a key before it has sealed 2^32 texts.
 */
export class KeyRing {
  private readonly sealingKey: EncryptionKey;
  private readonly keysById: ReadonlyMap<string, KeyObject>;

  /** @throws {ConfigurationError} when there is no key, or a key or an id is wrong */
  constructor(keys: readonly EncryptionKey[]) {
    const [sealingKey] = keys;
    if (sealingKey === undefined) {
      throw new ConfigurationError(
        `${VARIABLE} has no keys; write id:key, with a key from: openssl rand -base64 ${KEY_BYTES}`,
      );
    }
    checkKeys(keys);
    this.sealingKey = sealingKey;
    this.keysById = new Map(keys.map(({ id, key }) => [id, key]));
  }

  /**
   * @param plaintext is stored as UTF-8, which has no lone surrogates
   * @param context what the text belongs to, such as the id of its task; needed to open it
   * @returns `v1.<key id>.<nonce>.<ciphertext>.<tag>`, in ASCII
   */
  seal(plaintext: string, context: string): string {
    const { id, key } = this.sealingKey;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(authenticated(id, context));
    const ciphertext = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
    const parts = [nonce, ciphertext, cipher.getAuthTag()];
    return [VERSION, id, ...parts.map((part) => part.toString('base64url'))].join('.');
  }

  /**
   * @param context the one that the text was sealed with
   * @throws {SealedTextError} when the key is unknown, or the text is malformed or not authentic
   */
  open(sealed: string, context: string): string {
    const { id, nonce, ciphertext, tag } = parseSealed(sealed);
    const key = this.keysById.get(id);
    if (key === undefined) {
      throw new SealedTextError(
        `The text is sealed with the key "${id}", which is unknown; put it back into ${VARIABLE}`,
      );
    }
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(authenticated(id, context));
    decipher.setAuthTag(tag);
    const plaintext = decipher.update(ciphertext);
    try {
      return Buffer.concat([plaintext, decipher.final()]).toString('utf8');
    } catch (error) {
      throw new SealedTextError(
        `The sealed text is not authentic: it was changed, it belongs elsewhere, or the key "${id}" is not the one that sealed it`,
        { cause: error },
      );
    }
  }
}

function parseEntry(entry: string, index: number): EncryptionKey {
  const [id, written, ...rest] = entry.split(':');
  if (id === undefined || written === undefined || rest.length > 0) {
    throw entryError(
      index,
      `is not id:key; write for example 2025-01:key, with a key from: openssl rand -base64 ${KEY_BYTES}`,
    );
  }
  const bytes = decodeBase64Url(
    written.replace(/=$/, '').replaceAll('+', '-').replaceAll('/', '_'),
  );
  if (bytes === undefined) {
    throw entryError(index, KEY_PROBLEM);
  }
  return { id, key: createSecretKey(bytes) };
}

function checkKeys(keys: readonly EncryptionKey[]): void {
  const positions = new Map<string, number>();
  for (const [index, { id, key }] of keys.entries()) {
    if (!ID_PATTERN.test(id)) {
      throw entryError(index, ID_PROBLEM);
    }
    if (key.symmetricKeySize !== KEY_BYTES) {
      throw entryError(index, KEY_PROBLEM);
    }
    const first = positions.get(id);
    if (first !== undefined) {
      throw entryError(index, `has the id of entry ${first}; write another id`);
    }
    positions.set(id, index + 1);
  }
}

/** Of an entry only its position: what stands in the place of an id may be a key. */
function entryError(index: number, problem: string): ConfigurationError {
  return new ConfigurationError(`Entry ${index + 1} of ${VARIABLE} ${problem}`);
}

function parseSealed(sealed: string): {
  id: string;
  nonce: Buffer;
  ciphertext: Buffer;
  tag: Buffer;
} {
  const [, id, ...parts] = SEALED_PATTERN.exec(sealed) ?? [];
  const [nonce, ciphertext, tag] = parts.map(decodeBase64Url);
  if (id === undefined || !nonce || !ciphertext || !tag) {
    throw new SealedTextError(
      `The sealed text is malformed: it is not ${VERSION}.<key id>.<nonce>.<ciphertext>.<tag>`,
    );
  }
  return { id, nonce, ciphertext, tag };
}

/** Two texts never decode to the same bytes; `Buffer.from` alone skips what it does not know. */
function decodeBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** JSON keeps the parts apart, whatever they contain. */
function authenticated(keyId: string, context: string): Buffer {
  return Buffer.from(JSON.stringify([VERSION, keyId, context]), 'utf8');
}
