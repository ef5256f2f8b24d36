import { setTimeout as delay } from 'node:timers/promises';
import { TaskStorageError } from '../../task/errors.js';
import { showListening } from './other-listeners.js';
import { onlyRow, type PostgresConnection, type PostgresSession } from './postgres-connection.js';
import { quoteIdentifier } from './schema-names.js';
import type { SqlStatement } from './sql-parameters.js';
import { readNumber } from './task-rows.js';
import { within } from './within.js';
import { ASK_READ_ONLY, assertWritable } from './writable-host.js';

/** How a listener waits. */
export interface ListenerTimes {
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  /** The pause between two looks whether the session still answers. */
  readonly probeEveryMs: number;
  /** So long an answer may take. */
  readonly answerLimitMs: number;
}

const DEFAULT_TIMES: ListenerTimes = {
  firstRetryMs: 100,
  longestRetryMs: 5_000,
  probeEveryMs: 10_000,
  answerLimitMs: 10_000,
};

/** A server that has become a standby, or read-only, is not the one any more that others write to. */
const PROBE: SqlStatement = { text: ASK_READ_ONLY, values: [] };

/** What a listener listens to. */
export interface ListenedChannel {
  readonly channel: string;
  /** What its session holds for as long as it listens, see {@link showListening}. */
  readonly lock: string;
  /** Sends any notification on the channel. */
  readonly hello: SqlStatement;
}

/** Whom a listener tells. */
export interface ListenerCallbacks {
  /** The payload of a notification. */
  readonly onPayload: (payload: string) => void;
  /**
   * Notifications arrive from now on; those sent before may be lost.
   *
   * @param pid of the session
   */
  readonly onLive: (pid: number) => void;
  /** Once for each time that no session listens and none can be made to. */
  readonly onWarning: (message: string) => void;
}

/**
 * Listens on a channel with a session of its own, and with another one when that is lost. A session
 * whose host has vanished says nothing, so it is probed.
 */
export class ChangeListener {
  readonly #stopped = new AbortController();
  #isLive = false;
  #hasWarned = false;
  #failures = 0;

  constructor(
    private readonly connection: Pick<PostgresConnection, 'send' | 'withSession'>,
    private readonly listened: ListenedChannel,
    private readonly callbacks: ListenerCallbacks,
    private readonly times: ListenerTimes = DEFAULT_TIMES,
  ) {}

  /** Whether notifications arrive. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** Ends the session, or the waiting for one; the connection knows when it is given back. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Listens until it is stopped. */
  async run(): Promise<void> {
    const { signal } = this.#stopped;
    const { firstRetryMs, longestRetryMs } = this.times;
    while (!signal.aborted) {
      await this.connection
        .withSession(async (session) => this.#listenOn(session))
        .catch((error: unknown) => this.#warn(error));
      const pauseMs = Math.min(firstRetryMs * 2 ** this.#failures, longestRetryMs);
      this.#failures += 1;
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** @throws {TaskStorageError} when notifications could not be made to arrive on the session */
  async #listenOn(session: PostgresSession): Promise<void> {
    const { signal } = this.#stopped;
    const over = new AbortController();
    const end = (): void => {
      this.#isLive = false;
      over.abort();
      // Ends the statement under way too; and the pool must not hand out a session that listens.
      session.discard();
    };
    signal.addEventListener('abort', end);
    session.lost.addEventListener('abort', end);
    try {
      if (signal.aborted || session.lost.aborted) {
        end();
        return;
      }
      await this.#establish(session, over.signal);
      await this.#watch(session, over.signal);
    } finally {
      signal.removeEventListener('abort', end);
      session.lost.removeEventListener('abort', end);
      end();
    }
  }

  /**
   * A pooler between here and Postgres may take the LISTEN and pass no notification on, so one has
   * to arrive first. Another session sends it, because a pooler hands a session what it sent itself.
   */
  async #establish(session: PostgresSession, over: AbortSignal): Promise<void> {
    const { answerLimitMs } = this.times;
    const { channel, lock, hello } = this.listened;
    const arrived = new Promise<void>((resolve) => {
      session.onNotification(channel, (payload) => {
        resolve();
        this.callbacks.onPayload(payload);
      });
    });
    const listen = { text: `LISTEN ${quoteIdentifier(channel)}`, values: [] };
    await within(answerLimitMs, session.send(listen), over);
    const shown = await within(answerLimitMs, session.send(showListening(lock)), over);
    await within(answerLimitMs, this.connection.send(hello), over);
    await within(answerLimitMs, arrived, over);
    this.#isLive = true;
    this.#hasWarned = false;
    this.#failures = 0;
    this.callbacks.onLive(readNumber(onlyRow(shown), 'pid'));
  }

  /** Ends when the session does not answer any more. A session that is replaced is no failure. */
  async #watch(session: PostgresSession, over: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await delay(this.times.probeEveryMs, undefined, { signal: over, ref: false });
        assertWritable({ rows: await within(this.times.answerLimitMs, session.send(PROBE), over) });
      }
    } catch {
      return;
    }
  }

  #warn(error: unknown): void {
    if (this.#hasWarned || this.#stopped.signal.aborted) {
      return;
    }
    this.#hasWarned = true;
    const reason = error instanceof TaskStorageError ? error.message : String(error);
    this.callbacks.onWarning(
      `What other processes change is noticed late at present, because notifications do not arrive: ${reason}; trying again`,
    );
  }
}
