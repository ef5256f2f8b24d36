import { beforeEach, describe, expect, it } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { OtherListeners } from '../../src/storage/typeorm/other-listeners.js';
import type { SqlRow } from '../../src/storage/typeorm/postgres-connection.js';
import { createGate, type Gate } from '../support/gate.js';

const LOOK_EVERY_MS = 10_000;
const ALONE = { own: true, others: false };

describe('whether a hint is wanted', () => {
  let nowMs: number;
  let looks: number;
  let missed: number;
  /** What a look finds; an error is one that fails. */
  let found: SqlRow | Error;
  let answer: Gate | null;
  let others: OtherListeners;

  beforeEach(() => {
    nowMs = 5_000;
    looks = 0;
    missed = 0;
    found = ALONE;
    answer = null;
    others = new OtherListeners(
      async () => {
        looks += 1;
        await answer?.opened;
        if (found instanceof Error) {
          throw found;
        }
        return [found];
      },
      'lock',
      () => (missed += 1),
      () => nowMs,
    );
  });

  /** Asks after so much more time, and once more when a look, if any, has been answered. */
  async function after(elapsedMs: number): Promise<boolean> {
    nowMs += elapsedMs;
    others.isHintWanted();
    await nextTurn();
    return others.isHintWanted();
  }

  it('is so as long as no session listens', async () => {
    expect(await after(1_000_000)).toBe(true);
    expect(looks).toBe(0);
  });

  it('is not so when it was looked, and nobody else listens', async () => {
    others.replaceSession(1);
    expect(others.isHintWanted()).toBe(true);
    expect(await after(0)).toBe(false);
  });

  it.each([
    ['another session listens', { own: true, others: true }],
    ['its own session is not on that server', { own: false, others: false }],
    ['the look fails', new Error('The line is broken')],
  ])('is so when %s', async (_what, row) => {
    found = row;
    others.replaceSession(1);
    expect(await after(0)).toBe(true);
    expect(looks).toBe(1);
  });

  it('is looked at again in time, and not before', async () => {
    others.replaceSession(1);
    await after(0);
    await after(LOOK_EVERY_MS - 1);
    expect(looks).toBe(1);
    await after(1);
    expect(looks).toBe(2);
  });

  it('is so again when another is found, who is told that hints were withheld', async () => {
    others.replaceSession(1);
    await after(0);
    found = { own: true, others: true };
    expect(await after(LOOK_EVERY_MS)).toBe(true);
    expect(missed).toBe(1);
  });

  it('is so again when another is heard, who is told that hints were withheld', async () => {
    others.replaceSession(1);
    await after(0);
    others.hearOther();
    expect(missed).toBe(1);
    expect(await after(LOOK_EVERY_MS - 1)).toBe(true);
    others.hearOther();
    expect(missed).toBe(1);
  });

  it('is so again when another session listens for it, and what was withheld is said', async () => {
    others.replaceSession(1);
    await after(0);
    others.replaceSession(2);
    expect(missed).toBe(1);
    expect(others.isHintWanted()).toBe(true);
  });

  it('is so when another is heard while it is looked', async () => {
    answer = createGate();
    others.replaceSession(1);
    others.isHintWanted();
    nowMs += 1;
    others.hearOther();
    answer.open();
    await nextTurn();
    expect(others.isHintWanted()).toBe(true);
  });
});
