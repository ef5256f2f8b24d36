import type { LoggerService } from '@nestjs/common';

/** A line of the log. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
}

/** Keeps what is logged, for a test to look at. */
export class RecordingLogger implements LoggerService {
  readonly lines: LogLine[] = [];

  log = this.#keep('log');
  error = this.#keep('error');
  warn = this.#keep('warn');
  debug = this.#keep('debug');

  /** The messages of one level, in order. */
  messages(level: string): string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.message);
  }

  #keep(level: string): (message: unknown) => void {
    return (message) => {
      this.lines.push({ level, message: String(message) });
    };
  }
}
