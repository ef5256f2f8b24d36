import type { SendStatement } from './postgres-connection.js';
import type { SqlStatement } from './sql-parameters.js';

/** What two sessions that listen on the same channel have in common. */
const KEY = 'hashtextextended($1, 0)';

/** A look is no dearer than a hint or two, and comes no oftener than this. */
const LOOK_EVERY_MS = 10_000;

/**
 * Says that the session which sends it listens, until it ends: a lock that everybody who listens holds.
 * Answers the `pid` of the session.
 */
export function showListening(lock: string): SqlStatement {
  return {
    text: `SELECT pg_try_advisory_lock_shared(${KEY}), pg_backend_pid() AS pid`,
    values: [lock],
  };
}

/** Answers whether the session `pid` listens, as `own`, and whether any other does, as `others`. */
function findListening(lock: string, pid: number): SqlStatement {
  return {
    // How pg_locks shows the key: https://www.postgresql.org/docs/18/view-pg-locks.html
    text: `SELECT COALESCE(BOOL_OR(pid = $2), FALSE) AS own, COALESCE(BOOL_OR(pid <> $2), FALSE) AS others
      FROM pg_locks
      WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (classid::bigint << 32) | objid::bigint = ${KEY}`,
    values: [lock, pid],
  };
}

/**
 * Knows whether anybody else listens, so that one who is alone need not pay for hints that nobody hears.
 * It looks now and then, and only while there is something to tell. As long as it is unsure, somebody does.
 */
export class OtherListeners {
  /** The session that listens for this storage. */
  #pid: number | null = null;
  #isAlone = false;
  /** Whether a hint was not sent since somebody else was last known of. */
  #hasWithheld = false;
  #isLooking = false;
  /** When it was last looked, or somebody else heard. */
  #knownAtMs = 0;

  /**
   * @param send sends a statement on another session than the one that listens
   * @param lock what {@link showListening} was given
   * @param onMissed is called when there may be somebody who should have had hints that were not sent
   * @param now milliseconds of a clock that is never set
   */
  constructor(
    private readonly send: SendStatement,
    private readonly lock: string,
    private readonly onMissed: () => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** To be called when a session listens in the place of another: whoever came meanwhile was not heard. */
  replaceSession(pid: number): void {
    this.#pid = pid;
    this.#knownAtMs = this.now() - LOOK_EVERY_MS;
    this.#becomeUnsure();
  }

  /** To be called when somebody else was heard. */
  hearOther(): void {
    this.#knownAtMs = this.now();
    this.#becomeUnsure();
  }

  /** To be called for each hint. @returns whether it is to be sent */
  isHintWanted(): boolean {
    if (this.now() - this.#knownAtMs >= LOOK_EVERY_MS && !this.#isLooking && this.#pid !== null) {
      this.#isLooking = true;
      void this.#look(this.#pid);
    }
    this.#hasWithheld ||= this.#isAlone;
    return !this.#isAlone;
  }

  #becomeUnsure(): void {
    this.#isAlone = false;
    if (this.#hasWithheld) {
      this.#hasWithheld = false;
      this.onMissed();
    }
  }

  async #look(pid: number): Promise<void> {
    const beganAtMs = this.now();
    const [row] = await this.send(findListening(this.lock, pid)).catch(() => []);
    this.#isLooking = false;
    if (this.#knownAtMs > beganAtMs || this.#pid !== pid) {
      // Somebody else was heard, or the session replaced, while it was looked.
      return;
    }
    this.#knownAtMs = beganAtMs;
    // Without its own lock there, it listens on another server than the one it writes to.
    if (row?.['own'] === true && row['others'] === false) {
      this.#isAlone = true;
    } else {
      this.#becomeUnsure();
    }
  }
}
