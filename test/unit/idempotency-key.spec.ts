import { Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from '@jest/globals';
import { parseIdempotencyKey } from '../../src/agent/grpc/idempotency-key.js';
import { newTaskId } from '../../src/agent/supervisor/new-task-id.js';

const PROBLEM = 'idempotency-key must be 1 to 255 visible characters, such as a UUID';

function metadata(...keys: string[]): Metadata {
  const sent = new Metadata();
  keys.forEach((key) => sent.add('Idempotency-Key', key));
  return sent;
}

describe('parseIdempotencyKey', () => {
  it('takes the one key that was sent, in any spelling of its name, as it is', () => {
    for (const key of ['a', 'x'.repeat(255), '0190c5b2-7c1f-7a3e-8f7e-3b1f6f0f9a51', 'a,b']) {
      expect(parseIdempotencyKey(metadata(key))).toBe(key);
    }
  });

  it('takes none where none was sent, or the call has no metadata', () => {
    expect(parseIdempotencyKey(new Metadata())).toBeNull();
    expect(parseIdempotencyKey(undefined)).toBeNull();
  });

  it.each([
    [[''], PROBLEM],
    [['  '], PROBLEM],
    [['x'.repeat(256)], PROBLEM],
    [['a', 'b'], 'idempotency-key was sent 2 times; send one'],
  ])('refuses %j', (keys, message) => {
    expect(() => parseIdempotencyKey(metadata(...keys))).toThrow(message);
  });
});

describe('The id of a new task', () => {
  it('is the same for the same key of the same tenant, and for nothing else', () => {
    const ids = [
      newTaskId('default', 'a'),
      newTaskId('default', 'b'),
      newTaskId('other', 'a'),
      newTaskId('default', null),
      newTaskId('default', null),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(newTaskId('default', 'a')).toBe(ids[0]);
    // Stored tasks are found by it: it must never change.
    expect(ids[0]).toBe(newTaskId('default', 'a'));
  });
});
