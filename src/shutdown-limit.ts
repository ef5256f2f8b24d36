import type { ServiceLogger } from './service-logger.js';

/**
 * How much longer than the grace of running tasks an orderly end may take: 8 s for runners to stop and
 * their ends to be recorded, 1 s to give up leases, 2 s for last messages, 7 s for the storage to close.
 */
const ORDERLY_END_MS = 20_000;

/**
 * Ends the process some time after a signal has told it to end, whatever keeps it from ending itself:
 * a database that does not answer, or a shutdown hook of somebody else.
 *
 * @param graceMs how long running tasks may go on after the signal
 */
export function limitShutdown(
  signals: readonly NodeJS.Signals[],
  graceMs: number,
  logger: ServiceLogger,
): void {
  const limitMs = graceMs + ORDERLY_END_MS;
  for (const signal of signals) {
    process.once(signal, () => {
      setTimeout(() => {
        logger.error(`The service did not end within ${limitMs} ms after ${signal}; it is ended`);
        process.exit(1);
      }, limitMs).unref();
    });
  }
}
