import { TaskStorageError } from '../../task/errors.js';
import { SLOW_MS, type LanePlace, type StatementLane } from './statement-lane.js';
import { WaitingCalls, type Aside, type GatheredCall, type WaitingCall } from './waiting-calls.js';

/**
 * What became of one call. One that would make others fail is to be sent again `alone`, and one that
 * would keep others waiting `patiently`, which is alone as well.
 */
export type Outcome<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'error'; readonly error: unknown }
  | { readonly kind: Aside };

/**
 * How calls are sent: several as `shared`, or one that came by itself as `single`, or one whose outcome
 * asked for it. `single` and `patiently` may wait for whatever keeps them.
 */
export type Sharing = 'shared' | 'single' | Aside;

/** Sends the calls in one statement. Resolves to one outcome for each call, in their order. */
export type SendTogether<Request, Answer> = (
  requests: readonly Request[],
  sharing: Sharing,
) => Promise<readonly Outcome<Answer>[]>;

/** How much a gatherer does at once. */
export interface GathererLimits {
  /** What lets shared statements through, of this gatherer and of others. */
  readonly lane: StatementLane;
  /** So many calls must have gathered to be sent while another shared statement is under way. */
  readonly minBeside: number;
  /** How many calls may be under way in each of the ways of being sent by themselves. */
  readonly maxSingle: number;
  /** How long a call may wait before it is sent. */
  readonly waitLimitMs: number;
}

/** The most calls in one statement. */
const MAX_SHARE = 256;
/** So many calls are not divided among the statements that could be under way. */
const SMALLEST_SHARE = 16;
/**
 * Sends calls that come at the same time in few statements. A call that comes while nothing is under
 * way is sent at once; while statements are under way, calls gather for the next.
 */
export class StatementGatherer<Request, Answer> {
  readonly #waiting = new WaitingCalls<Request, Answer>();
  readonly #place: LanePlace;
  /** How many statements are under way, by how they were sent. */
  readonly #underWay = { shared: 0, single: 0, alone: 0, patiently: 0 };
  #isScheduled = false;
  /** How many calls went into the last statement. */
  #lastShare = 0;
  #waitTimer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #whenIdle: (() => void)[] = [];

  /** @param harmsOthers whether a statement failed for the sake of one call, so that all go alone */
  constructor(
    private readonly sendTogether: SendTogether<Request, Answer>,
    private readonly limits: GathererLimits,
    private readonly harmsOthers: (error: unknown) => boolean = () => false,
  ) {
    this.#place = limits.lane.join(this.#wake);
  }

  /** @throws {TaskStorageError} `UNAVAILABLE` when it could not be sent in time, or too many wait */
  run(call: GatheredCall<Request>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        throw new TaskStorageError('UNAVAILABLE', 'The storage is closed');
      }
      this.#waiting.assertRoom(call.bytes);
      this.#waiting.add({ call, resolve, reject, since: performance.now() });
      this.#schedule();
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

  /**
   * Not at once, so that calls which came together are sent together; no timer is waited for. When
   * several have come together before, those are waited for as well that other input has brought.
   */
  #schedule(): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      if (this.#lastShare > 1) {
        setImmediate(this.#sendScheduled);
      } else {
        process.nextTick(this.#sendScheduled);
      }
    }
  }

  readonly #sendScheduled = (): void => {
    this.#isScheduled = false;
    this.#sendReady();
  };

  #sendReady(): void {
    for (const how of ['alone', 'patiently'] as const) {
      while (this.#waiting.countAside(how) > 0 && this.#underWay[how] < this.limits.maxSingle) {
        void this.#send(this.#waiting.takeAside(how), how);
      }
    }
    if (this.#waiting.ready === 1 && this.#isIdle()) {
      void this.#send(this.#waiting.takeShare(1), 'single');
    }
    while (this.#waiting.ready >= (this.#place.isLaneEmpty ? 1 : this.limits.minBeside)) {
      const { free } = this.#place;
      if (free <= 0) {
        break;
      }
      this.#sendShare(free);
    }
    this.#watchWaiting();
  }

  /** Sends the calls of one statement, and leaves others for those that could go beside it. */
  #sendShare(free: number): void {
    const share = Math.max(SMALLEST_SHARE, Math.ceil(this.#waiting.ready / free));
    const calls = this.#waiting.takeShare(Math.min(share, MAX_SHARE));
    void this.#send(calls, 'shared', this.#place.enter());
  }

  /** Whether nothing is under way. */
  #isIdle(): boolean {
    const { shared, single, alone, patiently } = this.#underWay;
    return shared + single + alone + patiently === 0;
  }

  readonly #wake = (): void => {
    if (this.#waiting.size > 0) {
      this.#schedule();
    }
  };

  /** @param leave is called when the statement is over */
  async #send(
    calls: readonly WaitingCall<Request, Answer>[],
    sharing: Sharing,
    leave?: () => void,
  ): Promise<void> {
    this.#underWay[sharing] += 1;
    this.#lastShare = calls.length;
    let outcomes: readonly Outcome<Answer>[];
    try {
      const requests = calls.map(({ call }) => call.request);
      outcomes = await this.sendTogether(requests, sharing);
    } catch (error) {
      const isOfOne = calls.length > 1 && this.harmsOthers(error);
      outcomes = calls.map(() => (isOfOne ? { kind: 'alone' } : { kind: 'error', error }));
    }
    this.#underWay[sharing] -= 1;
    calls.forEach((call, index) => this.#settle(call, outcomes[index], sharing));
    leave?.();
    this.#wake();
    this.#noteIdle();
  }

  #settle(
    waiting: WaitingCall<Request, Answer>,
    outcome: Outcome<Answer> | undefined,
    sharing: Sharing,
  ): void {
    const isAside = outcome?.kind === 'alone' || outcome?.kind === 'patiently';
    if (isAside && sharing !== outcome.kind && sharing !== 'patiently') {
      this.#waiting.addAside(waiting, outcome.kind);
      return;
    }
    this.#waiting.letNextGo(waiting.call.key);
    if (outcome?.kind === 'answer') {
      waiting.resolve(outcome.answer);
    } else {
      waiting.reject(
        outcome?.kind === 'error'
          ? outcome.error
          : new TaskStorageError('INTERNAL', 'Postgres did not answer one of several calls'),
      );
    }
  }

  /** Sees to it that what waits is sent when what it waits for turns out to be slow, or refused. */
  #watchWaiting(): void {
    if (this.#waitTimer === null && this.#waiting.size > 0) {
      this.#waitTimer = setTimeout(() => {
        this.#waitTimer = null;
        this.#refuseOverdue();
        this.#sendReady();
      }, SLOW_MS);
      this.#waitTimer.unref();
    }
  }

  #refuseOverdue(): void {
    const { waitLimitMs } = this.limits;
    for (const { reject } of this.#waiting.takeOverdue(performance.now() - waitLimitMs)) {
      reject(
        new TaskStorageError(
          'UNAVAILABLE',
          `Postgres did not answer: the call could not be sent within ${waitLimitMs} ms`,
        ),
      );
    }
    this.#noteIdle();
  }

  #noteIdle(): void {
    if (this.#waiting.size === 0 && this.#isIdle()) {
      const whenIdle = this.#whenIdle;
      this.#whenIdle = [];
      whenIdle.forEach((resolve) => resolve());
    }
  }
}
