import type { WireType } from './message-shapes.js';

/** What stands before each value. */
export interface Tag {
  readonly number: number;
  readonly wireType: WireType;
}

/** A varint in two halves, because 64 bits do not fit into a number. */
export interface Varint {
  readonly low: number;
  readonly high: number;
}

const MAX_VARINT_BYTES = 10;
const START_GROUP = 3;
const END_GROUP = 4;
const MAX_TAG = 0xffff_ffff;

function isWireType(value: number): value is WireType {
  return value <= 5;
}

/** Reads protobuf's wire format. Each method answers `null` or `false` where the bytes end too early. */
export class WireReader {
  #position: number;

  constructor(
    private readonly buffer: Buffer,
    start: number,
    private readonly end: number,
  ) {
    this.#position = start;
  }

  get atEnd(): boolean {
    return this.#position >= this.end;
  }

  /** What has not been read. */
  get bytes(): Buffer {
    return this.buffer.subarray(this.#position, this.end);
  }

  tag(): Tag | null {
    const varint = this.varint();
    if (varint === null || varint.high !== 0 || varint.low > MAX_TAG) {
      return null;
    }
    const number = varint.low >>> 3;
    const wireType = varint.low & 7;
    return number > 0 && isWireType(wireType) ? { number, wireType } : null;
  }

  varint(): Varint | null {
    let low = 0;
    let high = 0;
    for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
      const byte = this.#position < this.end ? this.buffer[this.#position] : undefined;
      if (byte === undefined) {
        return null;
      }
      this.#position += 1;
      const bits = byte & 0x7f;
      const shift = index * 7;
      if (shift < 32) {
        low |= bits << shift;
      }
      if (shift === 28) {
        high |= bits >>> 4;
      } else if (shift > 28) {
        high |= bits << (shift - 32);
      }
      if (byte < 0x80) {
        return { low: low >>> 0, high: high >>> 0 };
      }
    }
    return null;
  }

  /** @returns a reader of the content of a value that has its length before it */
  delimited(): WireReader | null {
    const length = this.varint();
    if (length === null || length.high !== 0 || length.low > this.end - this.#position) {
      return null;
    }
    const start = this.#position;
    this.#position += length.low;
    return new WireReader(this.buffer, start, this.#position);
  }

  /** Passes over a value, without recursion however deep its groups nest. */
  skip(tag: Tag): boolean {
    const groups: number[] = [];
    for (let next: Tag | null = tag; next !== null; next = this.tag()) {
      if (next.wireType === START_GROUP) {
        groups.push(next.number);
      } else if (next.wireType === END_GROUP) {
        if (groups.pop() !== next.number) {
          return false;
        }
      } else if (!this.#skipValue(next.wireType)) {
        return false;
      }
      if (groups.length === 0) {
        return true;
      }
    }
    return false;
  }

  #skipValue(wireType: WireType): boolean {
    if (wireType === 0) {
      return this.varint() !== null;
    }
    if (wireType === 2) {
      return this.delimited() !== null;
    }
    this.#position += wireType === 1 ? 8 : 4;
    return this.#position <= this.end;
  }
}
