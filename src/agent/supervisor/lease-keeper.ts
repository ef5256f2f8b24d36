import { Logger } from '@nestjs/common';
import { MAX_RENEWED_TASKS } from '../../task/lease-input.js';
import type { Clock } from '../../task/clock.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { describeError } from '../describe-error.js';
import { pause } from './alarm.js';

/** Leases are renewed so often within their time, so that a few renewals may fail. */
const RENEWALS_PER_LEASE = 6;

/** After this part of a lease without a renewal its runner is stopped, while it still has time to. */
const SAFE_PART = 2 / 3;

/**
 * The time for which leases are safe that were asked for at its beginning. Measured from before the
 * storage was asked, by a timer: neither a slow answer nor a clock that is set makes it longer.
 */
export class LeaseSpan {
  readonly #holds = new Set<Hold>();
  readonly #endsAtMs: number;
  #isOver = false;

  /** @param order which span began first */
  constructor(
    private readonly clock: Clock,
    safeMs: number,
    readonly order: number,
  ) {
    this.#endsAtMs = clock.now().getTime() + safeMs;
    clock.after(safeMs, () => {
      this.#isOver = true;
      this.#holds.forEach((hold) => hold.onLost('lease-unsafe'));
    });
  }

  /**
   * Whether the time is over. The clock is asked too: after a pause of the process or the machine
   * the timer may be late.
   */
  get isOver(): boolean {
    return this.#isOver || this.clock.now().getTime() >= this.#endsAtMs;
  }

  add(hold: Hold): void {
    this.#holds.add(hold);
    if (this.isOver) {
      hold.onLost('lease-unsafe');
    }
  }

  delete(hold: Hold): void {
    this.#holds.delete(hold);
  }
}

/** Why a lease cannot be relied on: it is somebody else's or nobody's, or may become so. */
export type LeaseLoss = 'gone' | 'lease-unsafe';

interface Hold {
  readonly attempt: number;
  readonly onLost: (loss: LeaseLoss) => void;
  span: LeaseSpan;
}

/** A lease that is renewed. */
export interface LeaseHold {
  /** Whether the lease can be relied on at this moment. */
  isSafe(): boolean;
  /** Ends the renewing. */
  release(): void;
}

/**
 * Renews the leases of this process, all in one step, and says of each in time when it can no
 * longer be relied on.
 */
export class LeaseKeeper {
  readonly #logger = new Logger(LeaseKeeper.name);
  readonly #holds = new Map<string, Hold>();
  readonly #stopping = new AbortController();
  readonly #renewals = new Set<Promise<void>>();
  #renewing: Promise<void> | null = null;
  #spans = 0;

  constructor(
    private readonly storage: Pick<TaskStorage, 'leases'>,
    private readonly clock: Clock,
    readonly owner: string,
    readonly leaseMs: number,
  ) {}

  /** To be called before leases are asked for: their time counts from here. */
  beginSpan(): LeaseSpan {
    this.#spans += 1;
    return new LeaseSpan(this.clock, this.leaseMs * SAFE_PART, this.#spans);
  }

  /**
   * Renews the lease of a task from now on.
   *
   * @param span begun before the lease was asked for
   * @param onLost called when the lease is lost, or was not renewed in time
   */
  hold(taskId: string, attempt: number, span: LeaseSpan, onLost: Hold['onLost']): LeaseHold {
    const hold = { attempt, onLost, span };
    this.#holds.set(taskId, hold);
    span.add(hold);
    return {
      isSafe: () => !hold.span.isOver,
      release: () => {
        hold.span.delete(hold);
        if (this.#holds.get(taskId) === hold) {
          this.#holds.delete(taskId);
        }
      },
    };
  }

  start(): void {
    this.#renewing ??= this.#renewUntilStopped();
  }

  /** Resolves when no renewal is under way any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#renewing;
    await Promise.all(this.#renewals);
  }

  /** Lets every lease of this process end now, so that others need not wait for it. */
  async giveUp(): Promise<void> {
    await this.storage.leases.renew({ owner: this.owner, leaseMs: 1 });
  }

  async #renewUntilStopped(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      await pause(this.clock, this.leaseMs / RENEWALS_PER_LEASE, signal);
      if (signal.aborted) {
        return;
      }
      if (this.#holds.size > 0) {
        // Not waited for: one connection that hangs must not keep the next renewal from its turn.
        const renewal = this.#renew();
        this.#renewals.add(renewal);
        void renewal.then(() => this.#renewals.delete(renewal));
      }
    }
  }

  async #renew(): Promise<void> {
    const span = this.beginSpan();
    const holds = [...this.#holds];
    for (let start = 0; start < holds.length; start += MAX_RENEWED_TASKS) {
      await this.#renewSome(holds.slice(start, start + MAX_RENEWED_TASKS), span);
    }
  }

  async #renewSome(renewing: readonly [string, Hold][], span: LeaseSpan): Promise<void> {
    try {
      const { owner, leaseMs } = this;
      // Only what is held here: a task that was claimed and could not be run must find its way on.
      const taskIds = renewing.map(([taskId]) => taskId);
      const held = await this.storage.leases.renew({ owner, leaseMs, taskIds });
      for (const [taskId, hold] of renewing) {
        if (this.#holds.get(taskId) !== hold) {
          continue;
        }
        if (held.get(taskId) !== hold.attempt) {
          hold.onLost('gone');
        } else if (hold.span.order < span.order) {
          // Otherwise a later renewal was answered before this one.
          hold.span.delete(hold);
          hold.span = span;
          span.add(hold);
        }
      }
    } catch (error) {
      this.#logger.warn(`Leases were not renewed, which is tried again: ${describeError(error)}`);
    }
  }
}
