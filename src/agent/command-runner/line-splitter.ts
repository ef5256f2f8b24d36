const LINE_FEED = 0x0a;

/** Cuts a stream of bytes into lines of text, within bounded memory whatever the program writes. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  #buffer = Buffer.alloc(4096);
  #length = 0;
  #isCut = false;

  /** @param maximumLineBytes a longer line is cut there; the rest of it is dropped */
  constructor(private readonly maximumLineBytes: number) {}

  /** Takes the next bytes and answers the lines that they complete, without their line ends. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (
      let end = chunk.indexOf(LINE_FEED);
      end >= 0;
      start = end + 1, end = chunk.indexOf(LINE_FEED, start)
    ) {
      this.#append(chunk.subarray(start, end));
      yield this.#takeLine();
    }
    this.#append(chunk.subarray(start));
  }

  /** Answers the last line, when nothing ended it. */
  *end(): Generator<string> {
    if (this.#length > 0) {
      yield this.#takeLine();
    }
  }

  #append(bytes: Buffer): void {
    const kept = bytes.subarray(0, this.maximumLineBytes - this.#length);
    this.#isCut ||= kept.length < bytes.length;
    const needed = this.#length + kept.length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    kept.copy(this.#buffer, this.#length);
    this.#length = needed;
  }

  #takeLine(): string {
    const line = this.#decoder.decode(this.#buffer.subarray(0, this.#length));
    const isCut = this.#isCut;
    this.#length = 0;
    this.#isCut = false;
    return isCut
      ? `${line} … (cut: the line is longer than ${this.maximumLineBytes} bytes)`
      : line.replace(/\r$/, '');
  }
}
