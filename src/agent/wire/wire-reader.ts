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
  /** How many bytes it took. The decoder misreads 6 to 9 bytes where it expects 32 bits. */
  readonly byteCount: number;
}

const MAX_VARINT_BYTES = 10;
const START_GROUP = 3;
const END_GROUP = 4;

/** As deep as decoders of protobuf go; ours recurses into groups that it skips. */
const MAX_GROUP_DEPTH = 100;

/** Of 32 bits. */
export const MAX_SHORT_VARINT_BYTES = 5;

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
    const varint = this.#uint32();
    if (varint === null) {
      return null;
    }
    const number = varint >>> 3;
    const wireType = varint & 7;
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
        return { low: low >>> 0, high: high >>> 0, byteCount: index + 1 };
      }
    }
    return null;
  }

  #uint32(): number | null {
    const varint = this.varint();
    return varint !== null && varint.high === 0 && varint.byteCount <= MAX_SHORT_VARINT_BYTES
      ? varint.low
      : null;
  }

  /** @returns a reader of the content of a value that has its length before it */
  delimited(): WireReader | null {
    const length = this.#uint32();
    if (length === null || length > this.end - this.#position) {
      return null;
    }
    const start = this.#position;
    this.#position += length;
    return new WireReader(this.buffer, start, this.#position);
  }

  /** Passes over a value, without recursion however deep its groups nest. */
  skip(tag: Tag): boolean {
    const groups: number[] = [];
    for (let next: Tag | null = tag; next !== null; next = this.tag()) {
      if (next.wireType === START_GROUP) {
        if (groups.push(next.number) > MAX_GROUP_DEPTH) {
          return false;
        }
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
