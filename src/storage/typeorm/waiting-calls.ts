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

/** A call, and whom to tell. */
export interface WaitingCall<Request, Answer> {
  readonly call: GatheredCall<Request>;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
  /** When it began to wait. */
  since: number;
}

/** More calls than these, or bytes, do not wait: the caller is told at once. */
const MAX_CALLS = 20_000;
const MAX_BYTES = 268_435_456;
/** A statement takes no further call when it has this many bytes. */
const MAX_STATEMENT_BYTES = 1_048_576;

/** The ways in which a call is sent by itself: at once, or waiting for whatever keeps it. */
export type Aside = 'alone' | 'patiently';

/** The calls that are still to be sent: each in its turn, or by itself, or behind an earlier one. */
export class WaitingCalls<Request, Answer> {
  /** In the order of their turns: one that was behind another has its turn when that is answered. */
  readonly #ready: WaitingCall<Request, Answer>[] = [];
  readonly #aside: Readonly<Record<Aside, WaitingCall<Request, Answer>[]>> = {
    alone: [],
    patiently: [],
  };
  /** What waits for an earlier call about the same thing. A key is here while it has a call. */
  readonly #behind = new Map<string, WaitingCall<Request, Answer>[]>();
  /** The key of the only call that there is; while it is alone, a map would cost more than the rest. */
  #onlyKey: string | null = null;
  #calls = 0;
  #bytes = 0;

  /** How many calls wait, in all. */
  get size(): number {
    return this.#calls;
  }

  /** How many may share the next statement. */
  get ready(): number {
    return this.#ready.length;
  }

  /** How many are to be sent by themselves. */
  countAside(how: Aside): number {
    return this.#aside[how].length;
  }

  /** @throws {TaskStorageError} `UNAVAILABLE` when too many wait already */
  assertRoom(bytes: number): void {
    if (this.#calls >= MAX_CALLS || (this.#calls > 0 && this.#bytes + bytes > MAX_BYTES)) {
      throw new TaskStorageError(
        'UNAVAILABLE',
        `${this.#calls} calls wait for Postgres already; try again later`,
      );
    }
  }

  add(waiting: WaitingCall<Request, Answer>): void {
    this.#count(waiting);
    const { key } = waiting.call;
    if (key === null || !this.#isBehind(key, waiting)) {
      this.#ready.push(waiting);
    }
  }

  /** Puts a call back that is to be sent by itself. */
  addAside(waiting: WaitingCall<Request, Answer>, how: Aside): void {
    this.#count(waiting);
    waiting.since = performance.now();
    this.#aside[how].push(waiting);
  }

  /** Takes the next calls of one group, as many as may share a statement. */
  takeShare(maxCalls: number): WaitingCall<Request, Answer>[] {
    const group = this.#ready[0]?.call.group;
    let count = 0;
    let bytes = 0;
    for (const { call } of this.#ready) {
      const isTooMuch = count > 0 && bytes + call.bytes > MAX_STATEMENT_BYTES;
      if (count === maxCalls || call.group !== group || isTooMuch) {
        break;
      }
      count += 1;
      bytes += call.bytes;
    }
    return this.#taken(this.#ready.splice(0, count));
  }

  takeAside(how: Aside): WaitingCall<Request, Answer>[] {
    return this.#taken(this.#aside[how].splice(0, 1));
  }

  /** Lets the next call about the same thing have its turn. */
  letNextGo(key: string | null): void {
    if (key === null) {
      return;
    }
    if (key === this.#onlyKey) {
      this.#onlyKey = null;
      return;
    }
    const next = this.#behind.get(key)?.shift();
    if (next === undefined) {
      this.#behind.delete(key);
    } else {
      this.#ready.push(next);
    }
  }

  /** Takes those that have waited since before a time; the next about the same thing has its turn. */
  takeOverdue(before: number): WaitingCall<Request, Answer>[] {
    const behind = [...this.#behind.values()].flatMap((waiting) => overdueOf(waiting, before));
    const { alone, patiently } = this.#aside;
    const first = [this.#ready, alone, patiently].flatMap((waiting) => overdueOf(waiting, before));
    first.forEach(({ call }) => this.letNextGo(call.key));
    return this.#taken([...first, ...behind]);
  }

  /** @returns whether there is an earlier call about the same thing, which it is put behind */
  #isBehind(key: string, waiting: WaitingCall<Request, Answer>): boolean {
    if (this.#onlyKey === null && this.#behind.size === 0) {
      this.#onlyKey = key;
      return false;
    }
    if (this.#onlyKey !== null) {
      this.#behind.set(this.#onlyKey, []);
      this.#onlyKey = null;
    }
    const behind = this.#behind.get(key);
    if (behind === undefined) {
      this.#behind.set(key, []);
      return false;
    }
    behind.push(waiting);
    return true;
  }

  #count({ call }: WaitingCall<Request, Answer>): void {
    this.#calls += 1;
    this.#bytes += call.bytes;
  }

  #taken(taken: WaitingCall<Request, Answer>[]): WaitingCall<Request, Answer>[] {
    for (const { call } of taken) {
      this.#calls -= 1;
      this.#bytes -= call.bytes;
    }
    return taken;
  }
}

/** Takes the calls that began to wait before a time out of those that wait. */
function overdueOf<T extends { readonly since: number }>(waiting: T[], before: number): T[] {
  // Not those in front alone: one that was behind another call is older than those that it is after.
  const overdue = waiting.filter(({ since }) => since <= before);
  if (overdue.length > 0) {
    const inTime = waiting.filter(({ since }) => since > before);
    waiting.splice(0, waiting.length, ...inTime);
  }
  return overdue;
}
