import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  ALONE,
  answerTo,
  createManualStatements,
  UNAVAILABLE,
  turn,
} from '../support/manual-statements.js';

describe('a full queue', () => {
  it.each([
    { what: 'calls', count: 20_000, bytes: 1 },
    { what: 'bytes', count: 256, bytes: 1_048_576 },
  ])('of $what refuses the next call at once, until there is room', async ({ count, bytes }) => {
    const { call, batches, answerAll } = createManualStatements();
    const waiting = Array.from({ length: count }, (_, index) => call(`${index}`, { bytes }));
    const refused = call('one too many', { bytes });
    await turn();
    expect(refused.outcome).toMatchObject(UNAVAILABLE);
    expect(batches).toHaveLength(1);
    const next = call('next', { bytes });
    await answerAll();
    expect(waiting.filter(({ outcome }, index) => outcome !== answerTo(`${index}`))).toEqual([]);
    expect(next.outcome).toBe('answer to next');
    expect(batches.flatMap(({ requests }) => requests)).not.toContain('one too many');
  });

  it('takes a call of any size when nothing waits', async () => {
    const { call, batches } = createManualStatements();
    call('large', { bytes: 1_000_000_000 });
    await turn();
    expect(batches).toMatchObject([{ requests: ['large'] }]);
  });
});

async function pass(ms: number): Promise<void> {
  await turn();
  jest.advanceTimersByTime(ms);
  await turn();
}

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
});

afterEach(() => {
  jest.useRealTimers();
});

it('waits for a slow statement only when as many are slow as may be', async () => {
  const { call, batches, occupy } = createManualStatements({ maxSlow: 1 });
  await occupy();
  const first = call('first');
  await turn();
  expect(batches).toHaveLength(2);
  await pass(100);
  expect(batches[2]).toMatchObject({ requests: ['first'] });
  call('second');
  await pass(1_000);
  expect(batches).toHaveLength(3);
  batches[2]?.answer();
  await turn();
  expect(first.outcome).toBe('answer to first');
  expect(batches[3]).toMatchObject({ requests: ['second'] });
});

describe('a call that cannot be sent in time', () => {
  it('is refused where it waits to be sent, and its follower goes on', async () => {
    const { call, batches, occupy } = createManualStatements({ waitLimitMs: 100 });
    await occupy();
    const first = call('k1', { key: 'k' });
    await pass(75);
    const follower = call('k2', { key: 'k' });
    await pass(50);
    expect(first.outcome).toMatchObject(UNAVAILABLE);
    expect(follower.outcome).toBe('waiting');
    batches[1]?.answer();
    await turn();
    batches[2]?.answer();
    await turn();
    expect(follower.outcome).toBe('answer to k2');
    expect(batches.flatMap(({ requests }) => requests)).not.toContain('k1');
  });

  it('is refused where it waits for an earlier call about the same', async () => {
    const { call, batches } = createManualStatements({ waitLimitMs: 100 });
    const first = call('k1', { key: 'k' });
    const second = call('k2', { key: 'k' });
    await pass(75);
    const third = call('k3', { key: 'k' });
    await pass(50);
    // What is under way is not given up: nobody knows what will become of it.
    expect(first.outcome).toBe('waiting');
    expect(second.outcome).toMatchObject(UNAVAILABLE);
    batches[0]?.answer();
    await turn();
    batches[1]?.answer();
    await turn();
    expect([first.outcome, third.outcome]).toEqual(['answer to k1', 'answer to k3']);
  });

  it('is refused where it waits to be sent alone, and its follower goes on', async () => {
    const { call, batches } = createManualStatements({ waitLimitMs: 100 });
    const calls = ['a', 'b'].map((request) => call(request, { key: request }));
    await pass(75);
    batches[0]?.answer([ALONE, ALONE]);
    await pass(50);
    // It was sent once; only the time since then counts.
    expect(calls[1]?.outcome).toBe('waiting');
    const follower = call('b2', { key: 'b' });
    await pass(75);
    expect(calls.map(({ outcome }) => outcome)).toEqual([
      'waiting',
      expect.objectContaining(UNAVAILABLE),
    ]);
    expect(batches[2]).toMatchObject({ requests: ['b2'] });
    batches[2]?.answer();
    await turn();
    expect(follower.outcome).toBe('answer to b2');
  });

  it('is refused in time when it came behind later calls because it had to wait for another', async () => {
    const { call, batches, occupy } = createManualStatements({ waitLimitMs: 100 });
    call('k1', { key: 'k' });
    await turn();
    await occupy();
    const early = call('k2', { key: 'k' });
    await pass(80);
    const late = call('late');
    await pass(10);
    batches[0]?.answer();
    await pass(35);
    expect([early.outcome, late.outcome]).toEqual([
      expect.objectContaining(UNAVAILABLE),
      'waiting',
    ]);
  });

  it('makes room for another', async () => {
    const { call, occupy } = createManualStatements({ waitLimitMs: 100 });
    await occupy();
    const waiting = Array.from({ length: 20_000 }, (_, index) => call(`${index}`));
    await pass(125);
    expect(waiting.every(({ outcome }) => outcome instanceof Error)).toBe(true);
    const next = call('next');
    await turn();
    expect(next.outcome).toBe('waiting');
  });
});

describe('closing', () => {
  it('is done at once when nothing waits, and refuses what comes later', async () => {
    const { call, gatherer, batches } = createManualStatements();
    await gatherer.close();
    const late = call('late');
    await turn();
    expect(late.outcome).toMatchObject(UNAVAILABLE);
    expect(batches).toEqual([]);
  });

  it('lets everything be sent and answered first, alone too', async () => {
    const { call, gatherer, batches } = createManualStatements();
    const calls = ['k1', 'l1', 'k2'].map((request) => call(request, { key: request.charAt(0) }));
    let isClosed = false;
    const closing = Promise.all([gatherer.close(), gatherer.close()]).finally(() => {
      isClosed = true;
    });
    await turn();
    batches[0]?.answer([ALONE, { kind: 'answer', answer: 'answer to l1' }]);
    await turn();
    batches[1]?.answer();
    await turn();
    expect([isClosed, batches.length]).toEqual([false, 3]);
    batches[2]?.fail(new Error('last'));
    await closing;
    expect(calls.map(({ outcome }) => outcome)).toEqual([
      'answer to k1',
      'answer to l1',
      expect.objectContaining({ message: 'last' }),
    ]);
  });
});
