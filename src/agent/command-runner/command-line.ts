import { ConfigurationError } from '../../config/configuration-error.js';

/** A program and its arguments. */
export type CommandLine = readonly [program: string, ...programArguments: string[]];

/** The characters that a backslash escapes between double quotes, as in a POSIX shell. */
const ESCAPABLE_IN_DOUBLE_QUOTES = '"\\$`';

/** Reads the words of one command line, character by character. */
class CommandLineReader {
  #position = 0;

  constructor(
    private readonly name: string,
    private readonly text: string,
  ) {}

  words(): string[] {
    const words: string[] = [];
    for (;;) {
      this.#skipBlanks();
      if (this.#position >= this.text.length) {
        return words;
      }
      words.push(this.#word());
    }
  }

  #skipBlanks(): void {
    while (isBlank(this.#peek())) {
      this.#position += 1;
    }
  }

  #word(): string {
    let word = '';
    for (let next = this.#peek(); next !== '' && !isBlank(next); next = this.#peek()) {
      this.#position += 1;
      if (next === "'") {
        word += this.#singleQuoted();
      } else if (next === '"') {
        word += this.#doubleQuoted();
      } else {
        word += next === '\\' ? this.#escaped() : next;
      }
    }
    return word;
  }

  #singleQuoted(): string {
    const end = this.text.indexOf("'", this.#position);
    if (end < 0) {
      return this.#refuse(
        `has a ' at character ${this.#position} that nothing closes; add another`,
      );
    }
    const quoted = this.text.slice(this.#position, end);
    this.#position = end + 1;
    return quoted;
  }

  #doubleQuoted(): string {
    const opening = this.#position;
    let quoted = '';
    for (let next = this.#peek(); next !== '"'; next = this.#peek()) {
      if (next === '') {
        return this.#refuse(`has a " at character ${opening} that nothing closes; add another`);
      }
      this.#position += 1;
      const escapes = next === '\\' && this.#peek() !== '';
      quoted +=
        escapes && ESCAPABLE_IN_DOUBLE_QUOTES.includes(this.#peek()) ? this.#escaped() : next;
    }
    this.#position += 1;
    return quoted;
  }

  #escaped(): string {
    const character = this.#peek();
    if (character === '') {
      return this.#refuse('ends with a backslash; write \\\\ for a backslash');
    }
    this.#position += 1;
    return character;
  }

  /** @returns the next UTF-16 unit, or `''` at the end */
  #peek(): string {
    return this.text.charAt(this.#position);
  }

  #refuse(problem: string): never {
    throw new ConfigurationError(`${this.name} ${problem}`);
  }
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\n' || character === '\r';
}

/**
 * Splits a command line into a program and its arguments as a POSIX shell does: blanks separate,
 * single quotes keep everything, double quotes keep all but `\"`, `\\`, `` \` `` and `\$`, and
 * elsewhere a backslash keeps the next character. Nothing else is special, because no shell runs:
 * no variables, no patterns, no pipes.
 *
 * @param name what the text configures, for the error; the text itself may hold secrets and is
 *   never repeated
 * @throws {ConfigurationError} when a quote is not closed, or there is no program
 */
export function parseCommandLine(name: string, text: string): CommandLine {
  const [program, ...programArguments] = new CommandLineReader(name, text).words();
  if (program === undefined || program === '') {
    throw new ConfigurationError(`${name} names no program; write the program first`);
  }
  if (text.includes('\0')) {
    throw new ConfigurationError(`${name} has a NUL character, which no program can be given`);
  }
  return [program, ...programArguments];
}
