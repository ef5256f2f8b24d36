import { describe, expect, it } from '@jest/globals';
import { QuotedSecrets } from '../../src/agent/supervisor/quoted-secrets.js';

const MASK = '********';

describe('QuotedSecrets', () => {
  it('masks the longer of two secrets with one beginning', () => {
    const secrets = new QuotedSecrets({ apiKey: 'key-12345' }, ['key-12345-67890']);
    secrets.add(['key-12345-67']);
    expect(secrets.maskText('key-12345-67890 key-12345-67 key-12345')).toBe(
      `${MASK} ${MASK} ${MASK}`,
    );
  });

  it('forgets the oldest of very many, and nothing of the request', () => {
    const secrets = new QuotedSecrets({ apiKey: 'key-of-request' }, ['key-of-host']);
    const tokens = Array.from({ length: 51 }, (_, index) => `token-number-${index + 100}`);
    tokens.forEach((token) => secrets.add([token]));
    const masked = secrets.maskText(`key-of-request key-of-host ${tokens.join(' ')}`);
    expect(masked).toBe(`${MASK} ${MASK} token-number-100${` ${MASK}`.repeat(50)}`);
  });
});
