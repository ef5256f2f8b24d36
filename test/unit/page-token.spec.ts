import { describe, expect, it } from '@jest/globals';
import { InvalidTaskError } from '../../src/task/errors.js';
import { PageTokenCodec } from '../../src/task/page-token.js';

const position = { createdAtMicroseconds: '1764000000123456', taskId: 'task-🦊' };
const filter = { tenantId: null, status: null };

describe('PageTokenCodec', () => {
  const codec = new PageTokenCodec(Buffer.alloc(32, 1));

  it('reads back what it wrote', () => {
    expect(codec.decode(codec.encode(position, filter), filter)).toEqual(position);
  });

  it('refuses a token of another filter, tenant or key', () => {
    const token = codec.encode(position, filter);
    const other = new PageTokenCodec(Buffer.alloc(32, 2));
    expect(() => codec.decode(token, { ...filter, status: 'running' })).toThrow(InvalidTaskError);
    expect(() => codec.decode(token, { ...filter, tenantId: 'a' })).toThrow(InvalidTaskError);
    expect(() => other.decode(token, filter)).toThrow(InvalidTaskError);
  });

  it('refuses every token with one changed bit', () => {
    const bytes = Buffer.from(codec.encode(position, filter), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const forged = Buffer.from(bytes);
      forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const token = forged.toString('base64url');
      expect(() => codec.decode(token, filter)).toThrow(InvalidTaskError);
    }
  });

  it('refuses every token with one changed character', () => {
    const token = codec.encode(position, filter);
    for (let index = 0; index < token.length; index += 1) {
      const forged =
        token.slice(0, index) + (token[index] === 'A' ? 'B' : 'A') + token.slice(index + 1);
      expect(() => codec.decode(forged, filter)).toThrow(InvalidTaskError);
    }
  });

  it.each(['', 'x', '=', '%', 'AAAA', '\0'])('refuses the forged token %j', (token) => {
    expect(() => codec.decode(token, filter)).toThrow(InvalidTaskError);
  });
});
