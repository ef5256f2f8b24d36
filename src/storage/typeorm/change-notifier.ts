import { setTimeout as delay } from 'node:timers/promises';
import type { TaskChange } from '../../task/task-change.js';
import { encodeChange, MISSED, packPayloads } from './change-payload.js';

/**
 * So long hints gather after a notification, before the next is sent. Each costs whoever writes about
 * as much as a statement of its own; nobody sees a stage 50 ms late.
 */
const PAUSE_MS = 50;
/** More hints than these become one. */
const MAX_WAITING = 5_000;
/** So long the end waits for the last notification. */
const FINISH_LIMIT_MS = 1_000;

const ENCODED_MISSED = encodeChange(MISSED);

/**
 * Tells other processes of changes. A NOTIFY takes a lock of the whole database when it commits, so
 * it is kept out of the transactions that write, and one statement carries what has gathered while
 * the one before it was under way. Hints that cannot be sent are dropped.
 */
export class ChangeNotifier {
  /** Encoded, each once, the oldest first. */
  readonly #waiting = new Set<string>();
  readonly #finishing = new AbortController();
  #sending: Promise<void> | null = null;

  /**
   * @param sender who the hints are from, so that it can skip them when they come back
   * @param notify sends the payloads in one statement
   */
  constructor(
    private readonly sender: string,
    private readonly notify: (payloads: readonly string[]) => Promise<unknown>,
  ) {}

  add(change: TaskChange): void {
    if (this.#finishing.signal.aborted || this.#waiting.has(ENCODED_MISSED)) {
      return;
    }
    if (change.kind === 'missed' || this.#waiting.size >= MAX_WAITING) {
      // Whoever looks at everything sees the others' changes too.
      this.#waiting.clear();
      this.#waiting.add(ENCODED_MISSED);
    } else {
      this.#waiting.add(encodeChange(change));
    }
    this.#sending ??= this.#sendAll();
  }

  /** Sends what waits without a pause, and takes no more. */
  async finish(): Promise<void> {
    this.#finishing.abort();
    if (this.#sending !== null) {
      await Promise.race([this.#sending, delay(FINISH_LIMIT_MS, undefined, { ref: false })]);
    }
  }

  async #sendAll(): Promise<void> {
    // What is announced together is sent together.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      const payloads = packPayloads(this.sender, this.#waiting);
      this.#waiting.clear();
      await this.notify(payloads).catch(() => undefined);
      await delay(PAUSE_MS, undefined, { ref: false, signal: this.#finishing.signal }).catch(
        () => undefined,
      );
    }
    this.#sending = null;
  }
}
