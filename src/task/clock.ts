/** Where time comes from. Tests give their own, so that they need no sleeps. */
export interface Clock {
  now(): Date;
  /** Calls back once after the delay; the answer cancels it. Never keeps the process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

/** The longest delay that a Node.js timer takes; a longer one would fire at once. */
const MAX_TIMER_DELAY_MS = 2_147_483_647;

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => new Date(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, Math.min(delayMs, MAX_TIMER_DELAY_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
