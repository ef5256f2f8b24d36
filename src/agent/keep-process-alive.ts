const INTERVAL_MS = 60_000;

/**
 * Keeps the process from ending before the work does. Timers of the clock do not, and while the
 * application starts or stops there may be nothing else that does.
 */
export async function keepProcessAlive<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, INTERVAL_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
