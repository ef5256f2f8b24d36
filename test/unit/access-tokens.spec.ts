import { describe, expect, it } from '@jest/globals';
import { parseAccessTokens } from '../../src/agent/auth/access-tokens.js';
import { tokenHashOf } from '../support/tokens-file.js';

const A = tokenHashOf('a');
const B = tokenHashOf('b');

function parse(entries: unknown) {
  return parseAccessTokens(Buffer.from(JSON.stringify(entries)));
}

describe('The file of tokens', () => {
  it('tells the holder of a token from its hash, in whatever case it is written', () => {
    const tokens = parse([
      { tokenHash: A.toUpperCase(), tenant: 'acme', role: 'run', name: 'the web shop' },
      { tokenHash: B, tenant: '*', role: 'admin' },
    ]);
    expect(tokens.holderOf('a')).toEqual({ tokenHash: A, tenantId: 'acme', role: 'run' });
    expect(tokens.holderOf('b')).toMatchObject({ tenantId: null, role: 'admin' });
    for (const unknown of ['c', 'A', '', A, 'a ']) {
      expect(tokens.holderOf(unknown)).toBeNull();
    }
  });

  it('tells tokens apart whose hashes begin alike', () => {
    const similar = A.slice(0, 32) + B.slice(32);
    const tokens = parse([
      { tokenHash: similar, tenant: 'other', role: 'read' },
      { tokenHash: A, tenant: 'acme', role: 'run' },
    ]);
    expect(tokens.holderOf('a')).toMatchObject({ tenantId: 'acme' });
    expect(parse([{ tokenHash: similar, tenant: 'other', role: 'read' }]).holderOf('a')).toBeNull();
  });

  it.each<[string, unknown, RegExp]>([
    ['no array', { tokenHash: A }, /^GRPC_AUTH_TOKENS_FILE holds no JSON array; write \[/],
    ['a token in clear', [{ token: 'secret-1' }], /^Entry 1 .*tokenHash/],
    [
      'no hash',
      [{ tokenHash: 'secret-1', tenant: 'a', role: 'run' }],
      /tokenHash must be the SHA-256/,
    ],
    [
      'an unknown role',
      [{ tokenHash: A, tenant: 'a', role: 'root' }],
      /role must be read, run, admin/,
    ],
    ['an empty tenant', [{ tokenHash: A, tenant: '', role: 'run' }], /^Entry 1 .*tenant /],
    ['no tenant', [{ tokenHash: A, role: 'run' }], /^Entry 1 .*tenant /],
    [
      'a misspelt field',
      [{ tokenHash: A, tenant: 'a', role: 'run', 'secret-1': 'token' }],
      /^Entry 1 .*: it has a field that is none of tokenHash, tenant, role, name$/,
    ],
    [
      'the same token twice',
      [
        { tokenHash: A, tenant: 'a', role: 'run' },
        { tokenHash: B, tenant: 'a', role: 'run' },
        { tokenHash: A.toUpperCase(), tenant: 'b', role: 'run' },
      ],
      /^Entry 3 of GRPC_AUTH_TOKENS_FILE has the token of entry 1; leave one of them out$/,
    ],
  ])('is refused with %s, and the error repeats no value', (_what, entries, sentence) => {
    expect(() => parse(entries)).toThrow(sentence);
    expect(() => parse(entries)).not.toThrow(/secret-1/);
  });

  it('may begin with a byte order mark', () => {
    const content = `\uFEFF${JSON.stringify([{ tokenHash: A, tenant: 'acme', role: 'run' }])}`;
    expect(parseAccessTokens(Buffer.from(content)).holderOf('a')).toMatchObject({ role: 'run' });
  });

  it('is refused when it is no JSON, without a word of it', () => {
    const parseBroken = () => parseAccessTokens(Buffer.from('[secret-1'));
    expect(parseBroken).toThrow(/^GRPC_AUTH_TOKENS_FILE holds no JSON array/);
    expect(parseBroken).not.toThrow(/secret/);
  });
});
