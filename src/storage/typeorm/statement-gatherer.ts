import { TaskStorageError } from '../../task/errors.js';

/** One call that may share a statement with others. */
export interface GatheredCall<Request> {
  readonly request: Request;
  /** Calls about the same thing are sent one after the other, in the order in which they came. */
  readonly key: string | null;
  /** Only calls of the same group share a statement. */
  readonly group: string;
  /** About how many bytes it sends. */
  readonly bytes: number;
}

/**
 * What became of one call. `alone` is a call that would keep others waiting or make them fail: it is
 * to be sent again, without them.
 */
export type Outcome<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'error'; readonly error: unknown }
  | { readonly kind: 'alone' };

/**
 * How calls are sent: several as `shared`, or one that came by itself as `single`, or one as `alone`
 * whose outcome was that. Only the last two may wait for whatever they have to wait for.
 */
export type Sharing = 'shared' | 'single' | 'alone';

/** Sends the calls in one statement. Resolves to one outcome for each call, in their order. */
export type SendTogether<Request, Answer> = (
  requests: readonly Request[],
  sharing: Sharing,
) => Promise<readonly Outcome<Answer>[]>;

/** How much a gatherer does at once. */
export interface GathererLimits {
  /** How many shared statements may be under way. */
  readonly maxShared: number;
  /** How many calls may be under way by themselves, beside those. */
  readonly maxSingle: number;
  /** How long a call may wait before it is sent. */
  readonly waitLimitMs: number;
}

/** The most calls in one statement. */
const MAX_CALLS = 256;
/** So many calls are not divided among the statements that could be under way. */
const SMALLEST_SHARE = 16;
/** A statement takes no further call when it has this many bytes. */
const MAX_BYTES = 1_048_576;
/** More calls than these, or bytes, do not wait: the caller is told at once. */
const MAX_WAITING_CALLS = 20_000;
const MAX_WAITING_BYTES = 268_435_456;
/** How often, within the longest wait, it is looked for calls that have waited too long. */
const WAIT_CHECKS = 4;

interface Entry<Request, Answer> {
  readonly call: GatheredCall<Request>;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
  since: number;
}

/**
 * Sends calls that come at the same time in few statements. A call that comes while nothing is under
 * way is sent at once; while statements are under way, calls gather for the next.
 */
export class StatementGatherer<Request, Answer> {
  /** What can be sent, the oldest first. */
  readonly #ready: Entry<Request, Answer>[] = [];
  readonly #aloneReady: Entry<Request, Answer>[] = [];
  /** What waits for an earlier call about the same thing. A key is here while it has a call. */
  readonly #behind = new Map<string, Entry<Request, Answer>[]>();
  #waitingCalls = 0;
  #waitingBytes = 0;
  #shared = 0;
  #single = 0;
  #isScheduled = false;
  #waitTimer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #whenIdle: (() => void)[] = [];

  constructor(
    private readonly sendTogether: SendTogether<Request, Answer>,
    private readonly limits: GathererLimits,
  ) {}

  /** @throws {TaskStorageError} `UNAVAILABLE` when it could not be sent in time, or too many wait */
  async run(call: GatheredCall<Request>): Promise<Answer> {
    if (this.#isClosed) {
      throw new TaskStorageError('UNAVAILABLE', 'The storage is closed');
    }
    const isFull =
      this.#waitingCalls >= MAX_WAITING_CALLS ||
      (this.#waitingCalls > 0 && this.#waitingBytes + call.bytes > MAX_WAITING_BYTES);
    if (isFull) {
      throw new TaskStorageError(
        'UNAVAILABLE',
        `${this.#waitingCalls} calls wait for Postgres already; try again later`,
      );
    }
    return new Promise((resolve, reject) => {
      this.#add({ call, resolve, reject, since: performance.now() });
    });
  }

  /** Takes no more calls. Resolves when none is left. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await new Promise<void>((resolve) => {
      this.#whenIdle.push(resolve);
      this.#noteIdle();
    });
  }

  #add(entry: Entry<Request, Answer>): void {
    this.#waitingCalls += 1;
    this.#waitingBytes += entry.call.bytes;
    const behind = entry.call.key === null ? undefined : this.#behind.get(entry.call.key);
    if (behind !== undefined) {
      behind.push(entry);
      this.#watchWaiting();
      return;
    }
    if (entry.call.key !== null) {
      this.#behind.set(entry.call.key, []);
    }
    this.#ready.push(entry);
    this.#schedule();
  }

  /** Not at once, so that calls which came together are sent together; no timer is waited for. */
  #schedule(): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      process.nextTick(() => {
        this.#isScheduled = false;
        this.#sendReady();
      });
    }
  }

  #sendReady(): void {
    while (this.#single < this.limits.maxSingle && this.#aloneReady.length > 0) {
      this.#sendSingle(this.#aloneReady, 'alone');
    }
    if (this.#ready.length === 1 && this.#single < this.limits.maxSingle) {
      this.#sendSingle(this.#ready, 'single');
    }
    while (this.#ready.length > 0 && this.#shared < this.limits.maxShared) {
      this.#shared += 1;
      void this.#send(this.#takeShare(), 'shared').finally(() => {
        this.#shared -= 1;
        this.#afterSending();
      });
    }
    this.#watchWaiting();
  }

  #sendSingle(waiting: Entry<Request, Answer>[], sharing: Sharing): void {
    this.#single += 1;
    void this.#send(waiting.splice(0, 1), sharing).finally(() => {
      this.#single -= 1;
      this.#afterSending();
    });
  }

  #afterSending(): void {
    if (this.#ready.length > 0 || this.#aloneReady.length > 0) {
      this.#schedule();
    }
    this.#noteIdle();
  }

  /** Takes the calls of the next statement, and leaves others for those that could go beside it. */
  #takeShare(): Entry<Request, Answer>[] {
    const free = this.limits.maxShared - this.#shared + 1;
    const share = Math.max(SMALLEST_SHARE, Math.ceil(this.#ready.length / free));
    const group = this.#ready[0]?.call.group;
    let count = 0;
    let bytes = 0;
    for (const entry of this.#ready) {
      if (count === Math.min(share, MAX_CALLS) || entry.call.group !== group) {
        break;
      }
      if (count > 0 && bytes + entry.call.bytes > MAX_BYTES) {
        break;
      }
      count += 1;
      bytes += entry.call.bytes;
    }
    return this.#ready.splice(0, count);
  }

  async #send(entries: readonly Entry<Request, Answer>[], sharing: Sharing): Promise<void> {
    for (const entry of entries) {
      this.#waitingCalls -= 1;
      this.#waitingBytes -= entry.call.bytes;
    }
    let outcomes: readonly Outcome<Answer>[];
    try {
      const requests = entries.map(({ call }) => call.request);
      outcomes = await this.sendTogether(requests, sharing);
    } catch (error) {
      outcomes = entries.map(() => ({ kind: 'error', error }));
    }
    entries.forEach((entry, index) => this.#settle(entry, outcomes[index], sharing));
  }

  #settle(
    entry: Entry<Request, Answer>,
    outcome: Outcome<Answer> | undefined,
    sharing: Sharing,
  ): void {
    if (outcome?.kind === 'alone' && sharing !== 'alone') {
      entry.since = performance.now();
      this.#waitingCalls += 1;
      this.#waitingBytes += entry.call.bytes;
      this.#aloneReady.push(entry);
      return;
    }
    this.#letNextGo(entry.call.key);
    if (outcome?.kind === 'answer') {
      entry.resolve(outcome.answer);
    } else {
      entry.reject(
        outcome?.kind === 'error'
          ? outcome.error
          : new TaskStorageError('INTERNAL', 'Postgres did not answer one of several calls'),
      );
    }
  }

  #letNextGo(key: string | null): void {
    if (key === null) {
      return;
    }
    const next = this.#behind.get(key)?.shift();
    if (next === undefined) {
      this.#behind.delete(key);
    } else {
      this.#ready.push(next);
    }
  }

  /** Sees to it that what cannot be sent in time is refused. */
  #watchWaiting(): void {
    if (this.#waitTimer === null && this.#waitingCalls > 0) {
      this.#waitTimer = setTimeout(() => {
        this.#waitTimer = null;
        this.#refuseOverdue();
        this.#watchWaiting();
      }, this.limits.waitLimitMs / WAIT_CHECKS);
      this.#waitTimer.unref();
    }
  }

  #refuseOverdue(): void {
    const before = performance.now() - this.limits.waitLimitMs;
    for (const behind of this.#behind.values()) {
      this.#refuse(takeOverdue(behind, before));
    }
    const first = [...takeOverdue(this.#ready, before), ...takeOverdue(this.#aloneReady, before)];
    this.#refuse(first);
    first.forEach(({ call }) => this.#letNextGo(call.key));
    this.#afterSending();
  }

  #refuse(entries: readonly Entry<Request, Answer>[]): void {
    for (const entry of entries) {
      this.#waitingCalls -= 1;
      this.#waitingBytes -= entry.call.bytes;
      entry.reject(
        new TaskStorageError(
          'UNAVAILABLE',
          `Postgres did not answer: the call could not be sent within ${this.limits.waitLimitMs} ms`,
        ),
      );
    }
  }

  #noteIdle(): void {
    if (this.#waitingCalls === 0 && this.#shared === 0 && this.#single === 0) {
      const whenIdle = this.#whenIdle;
      this.#whenIdle = [];
      whenIdle.forEach((resolve) => resolve());
    }
  }
}

/** Takes the calls that came before a time out of those that wait, which are in order. */
function takeOverdue<T extends { readonly since: number }>(waiting: T[], before: number): T[] {
  const firstInTime = waiting.findIndex(({ since }) => since > before);
  return waiting.splice(0, firstInTime === -1 ? waiting.length : firstInTime);
}
