import { createSecretKey, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  type EncryptionKey,
  KeyRing,
  parseEncryptionKeys,
  SealedTextError,
} from '../../src/agent/encryption/key-ring.js';
import { ConfigurationError } from '../../src/config/configuration-error.js';

const TASK = 'task-1';

/** Its base64 has `+`, `/` and padding. */
const SECRET = Buffer.from(`${'fb'.repeat(16)}${'ff'.repeat(16)}`, 'hex');
const BASE64 = SECRET.toString('base64');

function newKey(id: string): EncryptionKey {
  return { id, key: createSecretKey(randomBytes(32)) };
}

/** What `run` throws, which must be an error. */
function errorOf(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    if (error instanceof Error) {
      return error;
    }
  }
  throw new Error('Nothing was thrown');
}

describe('The encryption keys', () => {
  it.each([
    ['base64', BASE64],
    ['base64 without padding', BASE64.replace('=', '')],
    ['base64url', SECRET.toString('base64url')],
    ['base64url with padding', `${SECRET.toString('base64url')}=`],
  ])('are read from %s', (_, written) => {
    expect(BASE64).toMatch(/\+.*\/.*=/);
    const [key, ...rest] = parseEncryptionKeys(`2025-01_a:${written}`);
    expect(rest).toEqual([]);
    expect(key?.id).toBe('2025-01_a');
    expect(key?.key.export()).toEqual(SECRET);
  });

  it('keep their order, whatever the space around them', () => {
    const other = randomBytes(32).toString('base64');
    const keys = parseEncryptionKeys(` new:${BASE64} ,\n${'o'.repeat(32)}:${other}`);
    expect(keys.map(({ id }) => id)).toEqual(['new', 'o'.repeat(32)]);
  });

  it('do not show their bytes', () => {
    const keys = parseEncryptionKeys(`a:${BASE64}`);
    const shown = inspect([keys, new KeyRing(keys)], { depth: null, showHidden: true });
    expect(shown).not.toMatch(/fb|251|\+\/|\+_/);
    expect(JSON.stringify(keys)).toBe('[{"id":"a","key":{}}]');
  });

  const notAPair = /^Entry 1 of TASK_STORAGE_ENCRYPTION_KEYS is not id:key; .*openssl rand/;
  const wrongId = /^Entry 1 of TASK_STORAGE_ENCRYPTION_KEYS has a wrong id; write 1 to 32 letters/;
  const wrongKey =
    /^Entry 1 of TASK_STORAGE_ENCRYPTION_KEYS has a key that is not 32 bytes of base64; .*openssl rand -base64 32$/;

  it.each([
    ['nothing', '', notAPair],
    ['a key alone', BASE64, notAPair],
    ['three parts', `a:b:${BASE64}`, notAPair],
    ['an empty first entry', `,a:${BASE64}`, notAPair],
    ['an empty id', `:${BASE64}`, wrongId],
    ['a long id', `${'a'.repeat(33)}:${BASE64}`, wrongId],
    ['a dot in an id', `a.b:${BASE64}`, wrongId],
    ['space after an id', `a :${BASE64}`, wrongId],
    ['a letter that is not ASCII', `é:${BASE64}`, wrongId],
    ['no key', 'a:', wrongKey],
    ['31 bytes', `a:${randomBytes(31).toString('base64')}`, wrongKey],
    ['33 bytes', `a:${randomBytes(33).toString('base64')}`, wrongKey],
    ['hexadecimal', `a:${SECRET.toString('hex')}`, wrongKey],
    ['a character to skip', `a:${BASE64.slice(0, 9)}!${BASE64.slice(9)}`, wrongKey],
    ['space in a key', `a:${BASE64.slice(0, 9)} ${BASE64.slice(9)}`, wrongKey],
    ['padding twice', `a:${BASE64}=`, wrongKey],
    ['padding inside', `a:${BASE64.slice(0, 9)}=${BASE64.slice(9)}`, wrongKey],
    ['bits after the last byte', `a:${'A'.repeat(42)}B`, wrongKey],
    [
      'the same id twice',
      `a:${BASE64},b:${randomBytes(32).toString('base64')},a:${BASE64}`,
      /^Entry 3 of TASK_STORAGE_ENCRYPTION_KEYS has the id of entry 1; write another id$/,
    ],
    ['a comma at the end', `a:${BASE64},`, /^Entry 2 of .* is not id:key; /],
    ['a wrong second entry', `a:${BASE64},b:${BASE64}A`, /^Entry 2 of .* has a key that/],
  ])('refuse %s, and do not quote it', (_, text, message) => {
    const error = errorOf(() => parseEncryptionKeys(text));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.message).toMatch(message);
    for (const part of text.split(/[:,]/).filter(({ length }) => length > 20)) {
      expect(error.message).not.toContain(part.slice(0, 9));
    }
  });
});

describe('A key ring', () => {
  const ring = new KeyRing([newKey('now')]);

  it.each([
    ['empty', ''],
    ['of one letter', 'x'],
    ['in many scripts', '\uFEFFñ 任务 🗝️ \u0000\r\n'],
    ['of 1 MB', 'secret €'.repeat(100_000)],
  ])('opens what it sealed, a text %s', (_, plaintext) => {
    const sealed = ring.seal(plaintext, TASK);
    expect(sealed).toMatch(/^v1\.now\.[\w-]{16}\.[\w-]*\.[\w-]{22}$/);
    expect(ring.open(sealed, TASK)).toBe(plaintext);
  });

  it('hides the text', () => {
    const sealed = ring.seal('sk-0123456789', TASK);
    const everyByte = sealed
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString('latin1'))
      .join();
    expect(sealed + everyByte).not.toContain('sk-0123456789');
    expect(sealed).not.toContain(Buffer.from('sk-0123456789').toString('base64url'));
  });

  it('never seals a text the same way twice', () => {
    const [first, second] = [ring.seal('text', TASK), ring.seal('text', TASK)].map((sealed) =>
      sealed.split('.').slice(2),
    );
    for (const [index, part] of (first ?? []).entries()) {
      expect(second?.[index]).not.toBe(part);
    }
  });

  it.each(['', 'task-2', 'task-1 ', 'TASK-1', '\uD800'])('refuses the context %j', (context) => {
    const sealed = ring.seal('text', TASK);
    const error = errorOf(() => ring.open(sealed, context));
    expect(error).toBeInstanceOf(SealedTextError);
    expect(error.message).toMatch(/^The sealed text is not authentic: /);
  });

  it('tells contexts apart that are the same in UTF-8', () => {
    const sealed = ring.seal('text', '\uD800');
    expect(ring.open(sealed, '\uD800')).toBe('text');
    expect(() => ring.open(sealed, '\uFFFD')).toThrow(SealedTextError);
  });

  it('refuses every change of one character', () => {
    const sealed = ring.seal('text', TASK);
    for (let index = 0; index < sealed.length; index += 1) {
      for (const character of ['A', 'B', 'w', '-', '.', '!', '']) {
        const changed = sealed.slice(0, index) + character + sealed.slice(index + 1);
        if (changed !== sealed) {
          expect(() => ring.open(changed, TASK)).toThrow(SealedTextError);
        }
      }
    }
  });

  it('refuses each part of another text', () => {
    const parts = ring.seal('text', TASK).split('.');
    const others = ring.seal('text', TASK).split('.');
    for (const index of [2, 3, 4]) {
      const mixed = parts.map((part, at) => (at === index ? others[at] : part)).join('.');
      expect(() => ring.open(mixed, TASK)).toThrow(/^The sealed text is not authentic: /);
    }
  });

  it('refuses another id of the same key', () => {
    const { key } = newKey('a');
    const aliases = new KeyRing([
      { id: 'a', key },
      { id: 'b', key },
    ]);
    const sealed = aliases.seal('text', TASK).replace('v1.a.', 'v1.b.');
    expect(() => aliases.open(sealed, TASK)).toThrow(/^The sealed text is not authentic: /);
  });

  it.each([
    ['nothing', () => ''],
    ['a text that was never sealed', () => 'plain secret'],
    ['another version', (sealed: string) => sealed.replace('v1', 'v2')],
    ['a part too many', (sealed: string) => `${sealed}.AAAA`],
    ['a part too few', (sealed: string) => sealed.slice(0, sealed.lastIndexOf('.'))],
    ['a shorter tag', (sealed: string) => sealed.slice(0, -6)],
    ['a longer tag', (sealed: string) => `${sealed}AA`],
    ['a line end', (sealed: string) => `${sealed}\n`],
    ['padding', (sealed: string) => `${sealed}==`],
  ])('refuses %s as malformed', (_, change) => {
    const error = errorOf(() => ring.open(change(ring.seal('text', TASK)), TASK));
    expect(error).toBeInstanceOf(SealedTextError);
    expect(error.name).toBe('SealedTextError');
    expect(error.message).toBe(
      'The sealed text is malformed: it is not v1.<key id>.<nonce>.<ciphertext>.<tag>',
    );
  });

  it('opens what an older key sealed, and seals with the first', () => {
    const [older, newer] = [newKey('old'), newKey('new')];
    const sealed = new KeyRing([older]).seal('text', TASK);
    const rotated = new KeyRing([newer, older]);
    expect(rotated.open(sealed, TASK)).toBe('text');
    expect(rotated.seal('text', TASK)).toMatch(/^v1\.new\./);
  });

  it('names the key that it misses', () => {
    const sealed = new KeyRing([newKey('old')]).seal('text', TASK);
    const error = errorOf(() => ring.open(sealed, TASK));
    expect(error).toBeInstanceOf(SealedTextError);
    expect(error.message).toBe(
      'The text is sealed with the key "old", which is unknown; put it back into TASK_STORAGE_ENCRYPTION_KEYS',
    );
  });

  it('refuses a text of another key with the same id', () => {
    const sealed = new KeyRing([newKey('now')]).seal('text', TASK);
    expect(() => ring.open(sealed, TASK)).toThrow(
      /or the key "now" is not the one that sealed it$/,
    );
  });

  it.each([
    ['no keys', [], /^TASK_STORAGE_ENCRYPTION_KEYS has no keys; .*openssl rand -base64 32$/],
    ['a wrong id', [newKey('a.b')], /^Entry 1 of .* has a wrong id; /],
    [
      'a short key',
      [{ id: 'a', key: createSecretKey(randomBytes(16)) }],
      /^Entry 1 of .* 32 bytes/,
    ],
    ['the same id twice', [newKey('a'), newKey('a')], /^Entry 2 of .* has the id of entry 1; /],
  ])('is not made of %s', (_, keys, message) => {
    const error = errorOf(() => new KeyRing(keys));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.message).toMatch(message);
  });
});
