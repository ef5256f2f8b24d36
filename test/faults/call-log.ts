import { setTimeout as delay } from 'node:timers/promises';
import type { CallOutcome, CallRecord } from './records.js';
import type { StallDetector } from './stalls.js';

/** What became of a call, and what its error said. */
export interface CallAnswer {
  readonly outcome: CallOutcome;
  readonly detail: string;
}

/** What is known of a call before it is made. */
export type CallDescription = Pick<CallRecord, 'operation' | 'through' | 'isWrite' | 'limitMs'>;

/** Keeps what became of calls, and how long each took without the time that the tests stood still. */
export class CallLog {
  constructor(
    private readonly calls: CallRecord[],
    private readonly stalls: Pick<StallDetector, 'stalledSince'>,
  ) {}

  async record<T extends CallAnswer>(
    description: CallDescription,
    call: () => Promise<T>,
  ): Promise<T> {
    const startedMs = performance.now();
    const answer = await call();
    const stalledMs = this.stalls.stalledSince(startedMs);
    // Its patience ended while nobody could answer, or hear the answer.
    const outcome = answer.outcome === 'hung' && stalledMs > 0 ? 'unknown' : answer.outcome;
    this.calls.push({
      ...description,
      outcome,
      detail: answer.detail,
      startedMs,
      durationMs: performance.now() - startedMs - stalledMs,
    });
    return { ...answer, outcome };
  }
}

/** Waits for an answer for so long, and calls it hung afterwards. */
export async function orHung(answer: Promise<CallAnswer>, patienceMs: number): Promise<CallAnswer> {
  const answered = new AbortController();
  const hung: CallAnswer = { outcome: 'hung', detail: '' };
  try {
    return await Promise.race([answer, delay(patienceMs, hung, { signal: answered.signal })]);
  } finally {
    answered.abort();
  }
}
