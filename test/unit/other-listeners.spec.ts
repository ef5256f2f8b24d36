import { beforeEach, describe, expect, it } from '@jest/globals';
import { OtherListeners } from '../../src/storage/typeorm/other-listeners.js';

const TIMES = { askEveryMs: 1_000, answerWithinMs: 100 };

describe('whether anybody else may be listening', () => {
  let nowMs: number;
  let asked: number;
  let others: OtherListeners;

  beforeEach(() => {
    nowMs = 5_000;
    asked = 0;
    others = new OtherListeners(
      () => (asked += 1),
      () => nowMs,
      TIMES,
    );
  });

  /** What is said after so much more time. */
  function after(elapsedMs: number): boolean {
    nowMs += elapsedMs;
    return others.mayListen();
  }

  it('is so as long as no question has arrived', () => {
    expect(after(1_000_000)).toBe(true);
    expect(asked).toBe(0);
  });

  it('is so until a question has had its time, and not any more when nobody answered', () => {
    others.noteAsked();
    expect(after(99)).toBe(true);
    expect(after(1)).toBe(false);
    expect(asked).toBe(0);
  });

  it('is so while somebody answers', () => {
    others.noteAsked();
    expect(others.noteOther()).toBe(false);
    expect(after(999)).toBe(true);
  });

  it('is asked again in time, once, and once more when the question did not arrive', () => {
    others.noteAsked();
    others.noteOther();
    after(999);
    expect(asked).toBe(0);
    after(1);
    after(999);
    expect(asked).toBe(1);
    after(1);
    expect(asked).toBe(2);
  });

  it('is not so any more when the next question has no answer', () => {
    others.noteAsked();
    others.noteOther();
    after(1_000);
    others.noteAsked();
    expect(after(99)).toBe(true);
    expect(after(1)).toBe(false);
  });

  it('stays not so while the next question has its time', () => {
    others.noteAsked();
    after(1_000);
    others.noteAsked();
    expect(after(1)).toBe(false);
  });

  it('is so again as soon as somebody is heard, who was kept in the dark', () => {
    others.noteAsked();
    after(100);
    expect(others.noteOther()).toBe(true);
    expect(after(1)).toBe(true);
    expect(others.noteOther()).toBe(false);
  });

  it('is unsure when notifications begin to arrive again', () => {
    others.noteAsked();
    after(100);
    others.noteAsked();
    others.begin();
    expect(after(99)).toBe(true);
    expect(after(1)).toBe(false);
  });

  it('counts an answer that came before notifications were said to arrive', () => {
    others.noteAsked();
    others.noteOther();
    others.begin();
    expect(after(500)).toBe(true);
  });
});
