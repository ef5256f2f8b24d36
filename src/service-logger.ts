import { ConsoleLogger, type LogLevel } from '@nestjs/common';

/** From the least to the most, with the names of the original service and those of Nest. */
const LEVELS: readonly { readonly nest: LogLevel; readonly names: readonly string[] }[] = [
  { nest: 'fatal', names: ['fatal', 'critical'] },
  { nest: 'error', names: ['error'] },
  { nest: 'warn', names: ['warn', 'warning'] },
  { nest: 'log', names: ['log', 'info'] },
  { nest: 'debug', names: ['debug'] },
  { nest: 'verbose', names: ['verbose'] },
];

/** The context under which Nest logs what stops a start, with a stack. */
const START_FAILURE = 'ExceptionHandler';

/** Logs to the console; quiet about Nest's own wiring while the service starts. */
export class ServiceLogger extends ConsoleLogger {
  constructor() {
    super({ logLevels: ['fatal', 'error', 'warn'] });
  }

  /** @param name the value of LOG_LEVEL, which has been checked */
  logFrom(name: string): void {
    const least = LEVELS.findIndex(({ names }) => names.includes(name.toLowerCase()));
    this.setLogLevels(LEVELS.slice(0, least + 1).map(({ nest }) => nest));
  }

  /** What stops the start is told by whoever started it, in one sentence instead of a stack. */
  override error(message: unknown, ...details: unknown[]): void {
    if (details.at(-1) !== START_FAILURE) {
      super.error(message, ...details);
    }
  }
}
