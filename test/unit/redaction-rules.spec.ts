import { describe, expect, it } from '@jest/globals';
import { RedactionRules } from '../../src/agent/redaction/redaction-rules.js';

const MASK = '********';

describe('RedactionRules', () => {
  it('masks what a path names, whatever it is, and leaves the rest', () => {
    const rules = new RedactionRules(['sandboxInfo.a.b', 'sandboxInfo.gone.b', 'sandboxInfo.n']);
    expect(rules.redact('sandboxInfo', { a: { b: { c: 1 }, d: 'd' }, n: null, x: [1] })).toEqual({
      a: { b: MASK, d: 'd' },
      n: MASK,
      x: [1],
    });
    expect(rules.redact('requestData', { a: { b: 1 } })).toEqual({ a: { b: 1 } });
  });

  it('takes * for any one key or index, and a number for an index', () => {
    const rules = new RedactionRules(['conversationHistory.*.*.token', 'conversationHistory.b.1']);
    const history = { a: [{ token: 't', x: 1 }, { y: 2 }], b: { c: { token: 3 }, d: [4] }, e: [5] };
    expect(rules.redact('conversationHistory', history)).toEqual({
      a: [{ token: MASK, x: 1 }, { y: 2 }],
      b: { c: { token: MASK }, d: [4] },
      e: [5],
    });
    expect(rules.redact('conversationHistory', { b: ['one', 'two'] })).toEqual({
      b: ['one', MASK],
    });
  });

  it('changes nothing that it was given, and keeps keys such as __proto__', () => {
    const json: unknown = JSON.parse('{"__proto__": {"token": "t"}, "a": 1}');
    const rules = new RedactionRules(['sandboxInfo.*.token']);
    expect(JSON.stringify(rules.redact('sandboxInfo', json as { a: number }))).toBe(
      `{"__proto__":{"token":"${MASK}"},"a":1}`,
    );
    expect(JSON.stringify(json)).toBe('{"__proto__":{"token":"t"},"a":1}');
  });

  it('finds every text within what it masks', () => {
    const rules = new RedactionRules(['sandboxInfo.a', 'sandboxInfo.*.b']);
    expect(
      rules.secretsIn('sandboxInfo', { a: ['one', { x: 'two' }], c: { b: 'three' }, d: 'four' }),
    ).toEqual(['one', 'two', 'three']);
  });
});
