/** How an {@link OtherListeners} asks. */
export interface AskingTimes {
  /** The pause between two questions, while there is something to tell. */
  readonly askEveryMs: number;
  /** Whoever has not answered by then is not there. */
  readonly answerWithinMs: number;
}

const DEFAULT_TIMES: AskingTimes = { askEveryMs: 60_000, answerWithinMs: 5_000 };

/**
 * Knows whether anybody else may be listening, so that a process which is alone need not pay for hints
 * that nobody hears. It asks, now and then and only while there is something to tell; whoever listens
 * answers. As long as it is unsure there may be somebody.
 */
export class OtherListeners {
  #isAlone = false;
  /** When the last question arrived here, and so with everybody who listens. */
  #askedAtMs: number | null = null;
  #isAnswered = false;
  /** When the last question was sent, which may not have arrived. */
  #sentAtMs = 0;

  /**
   * @param ask sends a question to everybody, this process too
   * @param now milliseconds of a clock that is never set
   */
  constructor(
    private readonly ask: () => void,
    private readonly now: () => number = () => performance.now(),
    private readonly times: AskingTimes = DEFAULT_TIMES,
  ) {}

  /** To be called when questions arrive here again: whoever came meanwhile was not heard. */
  begin(): void {
    this.#isAlone = false;
  }

  /** To be called when a question of this process has arrived. */
  noteAsked(): void {
    this.#askedAtMs = this.now();
    this.#isAnswered = false;
  }

  /** To be called when anything of another process has arrived. @returns whether it was kept in the dark */
  noteOther(): boolean {
    const wasAlone = this.#isAlone;
    this.#isAlone = false;
    this.#isAnswered = true;
    return wasAlone;
  }

  /** To be called when there is something to tell. @returns whether somebody may be listening */
  mayListen(): boolean {
    const { askEveryMs, answerWithinMs } = this.times;
    if (this.#askedAtMs === null) {
      return true;
    }
    const now = this.now();
    const sinceMs = now - this.#askedAtMs;
    if (!this.#isAnswered && sinceMs >= answerWithinMs) {
      this.#isAlone = true;
    }
    if (sinceMs >= askEveryMs && now - this.#sentAtMs >= askEveryMs) {
      this.#sentAtMs = now;
      this.ask();
    }
    return !this.#isAlone;
  }
}
