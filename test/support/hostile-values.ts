import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { delimited, tag, varint, type WireField } from './wire-fields.js';

/** A value of a field as it is put on the wire. */
export interface HostileValue {
  /** What kind of input it is, for the summary. */
  readonly kind: string;
  readonly encode: (number: number) => Buffer;
  /** What a client means by it; `undefined` when no well-formed client sends it. */
  readonly meaning: unknown;
}

const TWO_TO_64 = 1n << 64n;

function text(kind: string, value: string): HostileValue {
  return { kind, encode: (number) => delimited(number, Buffer.from(value)), meaning: value };
}

function bytes(kind: string, content: Buffer): HostileValue {
  const meaning = isUtf8(content) ? content.toString() : undefined;
  return { kind, encode: (number) => delimited(number, content), meaning };
}

function raw(kind: string, encode: (number: number) => Buffer): HostileValue {
  return { kind, encode, meaning: undefined };
}

function fits(value: bigint, type: string): boolean {
  return type === 'TYPE_BOOL'
    ? value <= 1n
    : BigInt.asUintN(64, BigInt.asIntN(32, value)) === value;
}

function whole(kind: string, value: bigint, { type }: WireField): HostileValue {
  const written = BigInt.asUintN(64, value);
  const number = Number(BigInt.asIntN(32, written));
  const meaning = type === 'TYPE_BOOL' ? written !== 0n : number;
  return {
    kind,
    encode: (fieldNumber) => Buffer.concat([tag(fieldNumber, 0), varint(written)]),
    meaning: fits(written, type) ? meaning : undefined,
  };
}

const OTHER_TYPES: readonly HostileValue[] = [
  raw('other wire type', (number) => Buffer.concat([tag(number, 1), Buffer.alloc(8, 1)])),
  raw('other wire type', (number) => Buffer.concat([tag(number, 5), Buffer.alloc(4, 1)])),
  raw('group', (number) => Buffer.concat([tag(number, 3), tag(number, 4)])),
];

const CUT_SHORT: readonly HostileValue[] = [
  raw('cut short', (number) => Buffer.concat([tag(number, 2), varint(200n), Buffer.from('a')])),
  raw('length overflows', (number) => Buffer.concat([tag(number, 2), varint(TWO_TO_64 - 1n)])),
];

const TEXTS: readonly HostileValue[] = [
  text('empty', ''),
  text('too long', 'x'.repeat(70_000)),
  text('NUL', 'a\0b'),
  text('U+FFFD itself', 'a\uFFFDb'),
  text('__proto__', '__proto__'),
  text('injection', `'; DROP TABLE agent_tasks; -- %_\\ $1`),
  text('deep JSON', '{"a":['.repeat(300)),
  text('astral', '\u{1F98A}\u{10FFFF}\uFEFF\u2028'),
  bytes('lone surrogate', Buffer.from([0x61, 0xed, 0xa0, 0x80])),
  bytes('invalid UTF-8', Buffer.from([0xff])),
  bytes('overlong UTF-8', Buffer.from([0xc0, 0x80])),
  bytes('half a character', Buffer.from([0x61, 0xf0, 0x9f])),
  raw('other wire type', (number) => Buffer.concat([tag(number, 0), varint(3n)])),
  ...OTHER_TYPES,
  ...CUT_SHORT,
];

const NUMBERS = [0n, 1n, 2n, 99n, -1n, 2n ** 31n - 1n, -(2n ** 31n), 2n ** 31n, 2n ** 32n + 1n];

function wholeNumbers(field: WireField): HostileValue[] {
  return [
    ...[...NUMBERS, 2n ** 63n, TWO_TO_64 - 2n].map((value) =>
      whole(value < 0n ? 'negative' : 'number', value, field),
    ),
    raw('overlong varint', (number) => Buffer.concat([tag(number, 0), Buffer.alloc(12, 0xff)])),
    raw('other wire type', (number) => delimited(number, Buffer.from([0xff]))),
    ...OTHER_TYPES,
  ];
}

const MESSAGES: readonly HostileValue[] = [
  { kind: 'empty', encode: (number) => delimited(number, Buffer.alloc(0)), meaning: {} },
  raw('malformed message', (number) => delimited(number, Buffer.from([0xff]))),
  raw('other wire type', (number) => Buffer.concat([tag(number, 0), varint(3n)])),
  ...OTHER_TYPES,
  ...CUT_SHORT,
];

const WHOLE_TYPES = new Set(['TYPE_INT32', 'TYPE_ENUM', 'TYPE_BOOL']);

/** @returns the values that every field of its type is tried with */
export function fixedValuesFor(field: WireField): readonly HostileValue[] {
  if (field.type === 'TYPE_STRING') {
    return TEXTS;
  }
  if (field.type === 'TYPE_MESSAGE') {
    return MESSAGES;
  }
  if (WHOLE_TYPES.has(field.type)) {
    return wholeNumbers(field);
  }
  throw new Error(`Write down hostile values for ${field.type}, which a request now has`);
}

/** Generates more values for a field. */
export function arbitraryValueFor(field: WireField): fc.Arbitrary<HostileValue> {
  const anyBytes = fc.uint8Array({ maxLength: 40 }).map((content) => Buffer.from(content));
  if (field.type === 'TYPE_STRING') {
    return fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }).map((value) => text('any text', value)),
      anyBytes.map((content) => bytes('any bytes', content)),
    );
  }
  return field.type === 'TYPE_MESSAGE'
    ? anyBytes.map((content) => ({
        kind: 'any bytes',
        encode: (number: number) => delimited(number, content),
        // They may happen to be a message, as no bytes at all are.
        meaning: content,
      }))
    : fc.bigInt({ min: 0n, max: TWO_TO_64 - 1n }).map((value) => whole('any number', value, field));
}
