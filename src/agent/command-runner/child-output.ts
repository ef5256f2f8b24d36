import type { Readable } from 'node:stream';

/** How far the reading runs ahead of the consumer while the program works. */
const READ_AHEAD_BYTES = 64 * 1024;

/**
 * How much is taken in at once when the program has gone: more than a kernel keeps of what a
 * program wrote, so that nothing of it is lost when the pipe has to be given up.
 */
const REST_BYTES = 16 * 1024 * 1024;

/**
 * What a child process writes, read no faster than it is consumed: a program that writes faster
 * has to wait, as with any pipe.
 */
export class ChildOutput implements AsyncIterable<Buffer> {
  readonly #stream: Readable;
  #chunks: Buffer[] = [];
  #queuedBytes = 0;
  #readAheadBytes = READ_AHEAD_BYTES;
  #hasEnded = false;
  #wake = (): void => undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('close', () => this.#end());
    // A broken pipe is an end like any other; 'close' follows.
    stream.on('error', () => undefined);
  }

  /** How much was read of the program and not consumed yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** The program has gone: takes in what it wrote, however slow the consumer is. */
  readRest(): void {
    this.#readAheadBytes = REST_BYTES;
    this.#stream.resume();
  }

  /** Ends the output for the consumer. The rest is read and dropped, so that no writer is stuck. */
  discard(): void {
    this.#end();
    this.#chunks = [];
    this.#queuedBytes = 0;
    this.#stream.resume();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
        this.#queuedBytes -= chunk.length;
        if (this.#queuedBytes < this.#readAheadBytes) {
          this.#stream.resume();
        }
      } else if (this.#hasEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #take(chunk: Buffer): void {
    if (this.#hasEnded) {
      return;
    }
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes >= this.#readAheadBytes) {
      this.#stream.pause();
    }
    this.#wake();
  }

  #end(): void {
    this.#hasEnded = true;
    this.#wake();
  }
}
