import { isUtf8 } from 'node:buffer';
import type { MessageShape, ScalarKind, WireType } from './message-shapes.js';
import { MAX_SHORT_VARINT_BYTES, WireReader, type Varint } from './wire-reader.js';

/*
 * The decoder of proto-loader is lenient: it makes U+FFFD of invalid UTF-8, ends a text at the end of
 * its message, reads a field of another wire type as if it were of its own, and cuts integers to 32
 * bits. Each would be a silent change of what the client sent, so a request is looked at before.
 */

/** Where a request is wrong, and how. */
export interface WireProblem {
  /** The path of the field; `request` when it is in none. */
  readonly field: string;
  readonly problem: string;
}

/** A problem on its way out of the nested messages. */
class WireError extends Error {
  constructor(readonly wireProblem: WireProblem) {
    super(wireProblem.problem);
  }
}

const PACKABLE: ReadonlySet<WireType> = new Set([0, 1, 5]);
const LENGTH_DELIMITED = 2;
const MAX_INT32 = 0x7fff_ffff;

const MALFORMED = 'is not what protobuf can say; encode it with the definition';
const NOT_UTF8 = 'is not valid UTF-8; send well-formed text';
const OTHER_TYPE = 'has another type than in the definition';
const TOO_LARGE = 'has a value that its type does not have';

/** @returns `null` when the bytes say exactly what the decoder will read */
export function findWireProblem(bytes: Buffer, shape: MessageShape): WireProblem | null {
  try {
    checkMessage(new WireReader(bytes, 0, bytes.length), shape, '');
    return null;
  } catch (error) {
    if (error instanceof WireError) {
      return error.wireProblem;
    }
    throw error;
  }
}

function fail(field: string, problem: string): never {
  throw new WireError({ field: field === '' ? 'request' : field, problem });
}

function checkMessage(reader: WireReader, shape: MessageShape, path: string): void {
  while (!reader.atEnd) {
    const tag = reader.tag() ?? fail(path, MALFORMED);
    const field = shape.get(tag.number);
    if (field === undefined) {
      // A newer client may know fields that we do not.
      if (!reader.skip(tag)) {
        fail(path, MALFORMED);
      }
      continue;
    }
    const name = path === '' ? field.name : `${path}.${field.name}`;
    if (tag.wireType === LENGTH_DELIMITED) {
      const content = reader.delimited() ?? fail(name, MALFORMED);
      if (field.message !== null) {
        checkMessage(content, field.message, name);
      } else if (field.kind === 'text') {
        if (!isUtf8(content.bytes)) {
          fail(name, NOT_UTF8);
        }
      } else if (field.kind !== 'bytes') {
        checkPacked(content, field, name);
      }
    } else if (tag.wireType === field.wireType) {
      checkScalar(reader, field, name);
    } else {
      fail(name, OTHER_TYPE);
    }
  }
}

interface ScalarField {
  readonly wireType: WireType;
  readonly kind: ScalarKind;
  readonly isRepeated: boolean;
}

function checkPacked(content: WireReader, field: ScalarField, name: string): void {
  if (!field.isRepeated || !PACKABLE.has(field.wireType)) {
    fail(name, OTHER_TYPE);
  }
  while (!content.atEnd) {
    checkScalar(content, field, name);
  }
}

function checkScalar(reader: WireReader, { wireType, kind }: ScalarField, name: string): void {
  if (wireType !== 0) {
    if (!reader.skip({ number: 0, wireType })) {
      fail(name, MALFORMED);
    }
    return;
  }
  if (!fits(reader.varint() ?? fail(name, MALFORMED), kind)) {
    fail(name, TOO_LARGE);
  }
}

/** An int32 below zero is written with 64 bits. */
function fits({ low, high, byteCount }: Varint, kind: ScalarKind): boolean {
  const isShort = high === 0 && byteCount <= MAX_SHORT_VARINT_BYTES;
  if (kind === 'int32') {
    return low <= MAX_INT32 ? isShort : high === 0xffff_ffff;
  }
  return kind === 'bool' ? isShort && low <= 1 : kind !== 'uint32' || isShort;
}
