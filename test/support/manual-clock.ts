import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../src/task/clock.js';

interface Timer {
  readonly dueAtMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<Timer>();
  #watchers: (() => void)[] = [];

  constructor(start = new Date('2026-01-01T00:00:00.000Z')) {
    this.#nowMs = start.getTime();
  }

  /** How many callbacks wait for their time. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** The delays until the callbacks that wait, the next one first. */
  get delays(): number[] {
    return Array.from(this.#timers, ({ dueAtMs }) => dueAtMs - this.#nowMs).toSorted(
      (one, other) => one - other,
    );
  }

  now(): Date {
    return new Date(this.#nowMs);
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueAtMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    for (const watcher of this.#watchers.splice(0)) {
      watcher();
    }
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Resolves as soon as a callback waits for its time. */
  async hasTimer(): Promise<void> {
    if (this.#timers.size === 0) {
      await new Promise<void>((resolve) => {
        this.#watchers.push(resolve);
      });
    }
  }

  /**
   * Moves on, calling back whoever is due, in order. Gives the code under test a turn of the event
   * loop before and after each, so that what it starts without waiting for input or output is done.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await nextTurn();
    for (let timer = this.#nextUntil(endMs); timer !== null; timer = this.#nextUntil(endMs)) {
      this.#timers.delete(timer);
      this.#nowMs = timer.dueAtMs;
      timer.callback();
      await nextTurn();
    }
    this.#nowMs = endMs;
    await nextTurn();
  }

  #nextUntil(endMs: number): Timer | null {
    const due = [...this.#timers].filter((timer) => timer.dueAtMs <= endMs);
    due.sort((left, right) => left.dueAtMs - right.dueAtMs);
    return due[0] ?? null;
  }
}
