import fc from 'fast-check';
import { NotPlain } from '../hostile-samples.js';

const UTF_16_UNITS = 0xffff;
const DEEPER_THAN_ANY_PARSER = 5_000;

/** Text of any UTF-16 units, so that surrogates are alone and NUL comes up. */
const brokenText = fc
  .array(fc.integer({ min: 0, max: UTF_16_UNITS }), { maxLength: 12 })
  .map((units) => String.fromCharCode(...units));

const text = fc.oneof(
  brokenText,
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('', ' ', '\0', '\ud800', '__proto__', 'constructor', 'x'.repeat(300)),
);

const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, 1, -1, Number.NaN, Infinity, -Infinity, 2 ** 31 - 1, 2 ** 31, 2 ** 53),
);

function nested(depth: number): unknown {
  let value: unknown = {};
  for (let level = 0; level < depth; level += 1) {
    value = level % 2 === 0 ? { deeper: value } : [value];
  }
  return value;
}

/** JSON whose keys and texts are hostile, `__proto__` as a key of its own among them. */
const json = fc
  .dictionary(
    fc.oneof(fc.string({ maxLength: 5 }), brokenText, fc.constant('__proto__')),
    fc.oneof(fc.jsonValue({ maxDepth: 3 }), text, number),
    { maxKeys: 4 },
  )
  .map((entries) => Object.fromEntries(Object.entries(entries)));

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withBoxedValues: true,
  withNullPrototype: true,
  withSparseArray: true,
  withTypedArray: true,
  key: fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('__proto__', 'toJSON')),
});

/** What a caller without a type checker may hand over. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  anything,
  text,
  number,
  json,
  fc.constantFrom<unknown>(
    undefined,
    null,
    [],
    {},
    Symbol('symbol'),
    () => 1,
    new NotPlain(),
    JSON.parse('{"__proto__":{"polluted":true}}'),
    nested(DEEPER_THAN_ANY_PARSER),
    Array.from({ length: 2_000 }, () => ({ stage: 'a', message: '' })),
  ),
);
