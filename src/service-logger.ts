import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import { inspect } from 'node:util';

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

/**
 * What could end a line, or tell a terminal to do something: control characters, separators of lines
 * and paragraphs, and marks that turn the direction of text.
 */
const NOT_PRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Before a line that goes on with a message, so that it is not taken for a line of the log. */
const INDENT = '    ';

function escaped(character: string): string {
  return character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function printable(text: string): string {
  return text.replace(NOT_PRINTABLE, escaped);
}

/** All lines but the first are indented, because the message of an error is part of its stack. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join(`\n${INDENT}`);
}

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

  /** Ids, instructions and what programs say come from strangers, who must not write lines of the log. */
  protected override resolveMessage(message: unknown): unknown {
    const resolved = super.resolveMessage(message);
    return typeof resolved === 'string' ? printable(resolved) : printableLines(inspect(resolved));
  }

  protected override formatContext(context: string): string {
    return super.formatContext(printable(context));
  }

  protected override printStackTrace(stack: string | undefined): void {
    if (stack !== undefined) {
      super.printStackTrace(`${INDENT}${printableLines(stack)}`);
    }
  }

  /** What stops the start is told by whoever started it, in one sentence instead of a stack. */
  override error(message: unknown, ...details: unknown[]): void {
    if (details.at(-1) !== START_FAILURE) {
      super.error(message, ...details);
    }
  }
}
