import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Logger } from '@nestjs/common';
import { ConfigurationError } from '../../config/configuration-error.js';
import type { Clock } from '../../task/clock.js';
import { describeError } from '../describe-error.js';

/** How long after a file has changed at the most its new content is used. */
const CHECK_MS = 5_000;

/** A file that an option names. */
export interface OptionFile {
  /** The option, for errors. */
  readonly option: string;
  readonly path: string;
}

/** What {@link WatchedFiles} are made from. */
export interface WatchedFilesOptions<T> {
  readonly files: readonly OptionFile[];
  /** @throws {ConfigurationError} when what the files say together cannot be used */
  readonly parse: (contents: readonly Buffer[]) => T;
  readonly clock: Clock;
}

/**
 * What some files say together, also after they have changed. They are read again and again instead
 * of being watched: that sees a file that was written, one that was put in its place, and the
 * exchanged link of a Kubernetes secret alike. Content that cannot be used is not used: the log says
 * so once, and what was read before stays.
 */
export class WatchedFiles<T> {
  readonly #logger = new Logger(WatchedFiles.name);
  readonly #listeners = new Set<(value: T) => void>();
  #contents: readonly Buffer[];
  #value: T;
  #problem: string | null = null;
  #cancelTimer: () => void = () => undefined;
  #isStopped = false;

  /** @throws {ConfigurationError} with one sentence that names the option */
  constructor(private readonly options: WatchedFilesOptions<T>) {
    this.#contents = options.files.map((file) => {
      try {
        return readFileSync(file.path);
      } catch (error) {
        throw unreadable(file, error);
      }
    });
    this.#value = options.parse(this.#contents);
    this.#checkLater();
  }

  get value(): T {
    return this.#value;
  }

  /** @param listener called after each change that can be used */
  onChange(listener: (value: T) => void): void {
    this.#listeners.add(listener);
  }

  /** Nothing is read any more. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer();
  }

  #checkLater(): void {
    this.#cancelTimer = this.options.clock.after(CHECK_MS, () => void this.#check());
  }

  async #check(): Promise<void> {
    try {
      const contents = await Promise.all(this.options.files.map(readAgain));
      if (!this.#isStopped && !contents.every((one, index) => this.#contents[index]?.equals(one))) {
        this.#value = this.options.parse(contents);
        this.#contents = contents;
        this.#logger.log(`Read anew: ${this.#names}`);
        this.#listeners.forEach((listener) => listener(this.#value));
      }
      this.#problem = null;
    } catch (error) {
      this.#report(error instanceof ConfigurationError ? error.message : describeError(error));
    }
    if (!this.#isStopped) {
      this.#checkLater();
    }
  }

  #report(problem: string): void {
    if (problem !== this.#problem) {
      this.#problem = problem;
      this.#logger.error(`${problem}. What was read before stays in use`);
    }
  }

  get #names(): string {
    return this.options.files.map(({ option }) => option).join(', ');
  }
}

async function readAgain(file: OptionFile): Promise<Buffer> {
  try {
    return await readFile(file.path);
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable({ option, path }: OptionFile, cause: unknown): ConfigurationError {
  return new ConfigurationError(
    `${option} is ${JSON.stringify(path)}, which cannot be read; write the path of a file that this process may read: ${describeError(cause)}`,
    { cause },
  );
}
