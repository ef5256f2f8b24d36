import { expect, it } from '@jest/globals';
import { CallLog, orHung } from './call-log.js';
import type { CallRecord } from './records.js';

const DESCRIPTION = {
  operation: 'appendEvents',
  through: 'storage',
  isWrite: true,
  limitMs: 1_000,
} as const;

async function recordOneThatHangs(stalledMs: number): Promise<CallRecord[]> {
  const calls: CallRecord[] = [];
  const log = new CallLog(calls, { stalledSince: () => stalledMs });
  await log.record(DESCRIPTION, async () => orHung(new Promise(() => undefined), 1));
  return calls;
}

it('records a call that is never answered as hung', async () => {
  expect(await recordOneThatHangs(0)).toMatchObject([{ ...DESCRIPTION, outcome: 'hung' }]);
});

it('does not know of one whose patience ended while the tests stood still', async () => {
  expect(await recordOneThatHangs(2_000)).toMatchObject([{ outcome: 'unknown' }]);
});

it('keeps an answer that comes in time', async () => {
  const answer = { outcome: 'refused', detail: 'no room' } as const;
  expect(await orHung(Promise.resolve(answer), 60_000)).toEqual(answer);
});
