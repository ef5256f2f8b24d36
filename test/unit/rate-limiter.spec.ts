import { describe, expect, it } from '@jest/globals';
import { RateLimiter } from '../../src/agent/auth/rate-limiter.js';
import { ManualClock } from '../support/manual-clock.js';

describe('RateLimiter', () => {
  it('admits as many calls at once as it admits in a second, and no more after a long rest', async () => {
    const clock = new ManualClock();
    const limiter = new RateLimiter(4, clock);
    await clock.advance(3_600_000);
    const waits = Array.from({ length: 6 }, () => limiter.admit('a'));
    expect(waits).toEqual([0, 0, 0, 0, 250, 250]);
  });

  it('admits the next call after just the time that it said', async () => {
    const clock = new ManualClock();
    const limiter = new RateLimiter(4, clock);
    for (let calls = 0; calls < 4; calls += 1) {
      limiter.admit('a');
    }
    await clock.advance(100);
    expect(limiter.admit('a')).toBe(150);
    await clock.advance(150);
    expect(limiter.admit('a')).toBe(0);
    expect(limiter.admit('a')).toBe(250);
  });

  it('counts each key by itself, and forgets the ones that are not used', () => {
    const limiter = new RateLimiter(1, new ManualClock());
    expect([limiter.admit('a'), limiter.admit('b')]).toEqual([0, 0]);
    expect(limiter.admit('a')).toBe(1_000);
    limiter.keepOnly((key) => key === 'b');
    expect([limiter.admit('a'), limiter.admit('b')]).toEqual([0, 1_000]);
  });

  it('neither gives nor takes when the clock is set back', () => {
    let nowMs = 10_000;
    const clock = new ManualClock();
    clock.now = () => new Date(nowMs);
    const limiter = new RateLimiter(2, clock);
    limiter.admit('a');
    nowMs = 0;
    expect([limiter.admit('a'), limiter.admit('a')]).toEqual([0, 500]);
    nowMs = 500;
    expect(limiter.admit('a')).toBe(0);
  });
});
