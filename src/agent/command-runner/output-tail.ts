const MAXIMUM_BYTES = 4096;
const MAXIMUM_LINES = 20;

/** Keeps the end of what a program writes: at most 20 lines and 4 KiB. */
export class OutputTail {
  #bytes = Buffer.alloc(0);
  #isCut = false;

  push(chunk: Buffer): void {
    const all = Buffer.concat([this.#bytes, chunk.subarray(-MAXIMUM_BYTES)]);
    this.#isCut ||= chunk.length > MAXIMUM_BYTES || all.length > MAXIMUM_BYTES;
    this.#bytes = all.subarray(-MAXIMUM_BYTES);
  }

  /** @returns the last lines; empty when there was nothing but blanks */
  text(): string {
    const lines = new TextDecoder().decode(this.#wholeCharacters()).trim().split(/\r?\n/);
    return lines.slice(-MAXIMUM_LINES).join('\n');
  }

  /** Leaves out the rest of a character whose beginning was cut off. */
  #wholeCharacters(): Buffer {
    const isContinuation = (byte: number) => (byte & 0b1100_0000) === 0b1000_0000;
    const start = this.#isCut ? this.#bytes.findIndex((byte) => !isContinuation(byte)) : 0;
    return this.#bytes.subarray(Math.max(start, 0));
  }
}
