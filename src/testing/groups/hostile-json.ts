import assert from 'node:assert/strict';
import { MAX_JSON_DEPTH, type JsonObject, type JsonValue } from '../../task/json.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { TASK_JSON_FIELDS } from '../../task/task.js';
import { assertInvalid, assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { existing, minimalTask, storedIds } from '../samples.js';

const STORABLE: readonly JsonObject[] = [
  {},
  { '': '', ' ': ' ', a: null, b: true, c: false, d: [], e: {}, f: [[], [[]], {}] },
  { 1: 'one', 0: 'zero', '-1': 'minus', length: 5, 'a.b': 1, 'a"b': 2, "a'b": 3, 'a\nb': 4 },
  { constructor: 'a', prototype: 'b', toString: 'c', hasOwnProperty: 'd', toJSON: 'e' },
  { numbers: [0, -1, 0.1, 1e21, 1e-7, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER] },
  { extremes: [Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, Number.EPSILON] },
  { text: ['C:\\u0000dir', '\\0', '\u0001\u007f\u2028\ufeff\uffff', '\u{1F98A}', "'; --"] },
  { '\u{1F98A}': '\u{10FFFF}', '\uffff': '\ufb00', é: 'e\u0301' },
  parseObject(
    '{"__proto__": {"polluted": true}, "a": {"__proto__": null}, "b": [{"__proto__": 1}]}',
  ),
  { notDates: '2026-01-01T00:00:00.000Z', notNumbers: '1e3', notNull: 'null' },
];

class Custom {
  readonly field = 1;
}

const cycle: Record<string, unknown> = {};
cycle['self'] = { list: [cycle] };

/** A value that JSON cannot say, by a name for the error message. */
const UNSTORABLE: Readonly<Record<string, unknown>> = {
  undefined: undefined,
  NaN: Number.NaN,
  Infinity,
  '-Infinity': -Infinity,
  BigInt: 1n,
  symbol: Symbol('symbol'),
  function: () => 1,
  Date: new Date(0),
  Map: new Map([['a', 1]]),
  Set: new Set([1]),
  RegExp: /a/,
  Buffer: Buffer.from('a'),
  'boxed text': Object('text'),
  'class instance': new Custom(),
  'object with toJSON': { toJSON: () => 1 },
  cycle,
  'array with a hole': Array(2),
  NUL: 'a\0b',
  'lone surrogate': '\ud800',
  'key with NUL': { 'a\0b': 1 },
  'key that is a lone surrogate': { '\udfff': 1 },
  'key that is a symbol': { [Symbol('symbol')]: 1 },
};

function parseObject(text: string): JsonObject {
  const value: JsonObject = JSON.parse(text);
  return value;
}

/** An object whose innermost value lies this many keys and indexes below it. */
function nested(steps: number): JsonObject {
  let value: JsonValue = 'innermost';
  for (let step = 1; step < steps; step += 1) {
    value = step % 2 === 0 ? { deeper: value } : [value];
  }
  return { top: value };
}

/** Hands the value to each place that takes JSON, and checks that each refuses it. */
async function assertRefusedEverywhere(
  storage: TaskStorage,
  path: string,
  wrap: (bad: unknown) => unknown,
  bad: unknown,
): Promise<void> {
  for (const field of TASK_JSON_FIELDS) {
    const fields = { [field]: wrap(bad) };
    const task = { ...minimalTask('new'), ...fields };
    await assertInvalid(field + path, () => storage.createTask(task));
    await assertInvalid(field + path, () => storage.updateTask('task', fields));
  }
  await assertInvalid(`value${path}`, async () => {
    const value: JsonObject = Object.assign(Object.create(null), wrap(bad));
    return storage.settings.putSetting('name', value, 0);
  });
}

export const hostileJsonGroup: ConformanceGroup = {
  title: 'hostile JSON',
  define(test) {
    test('comes back as it was, in every field', async ({ storage }) => {
      for (const [index, json] of STORABLE.entries()) {
        const fields = Object.fromEntries(TASK_JSON_FIELDS.map((field) => [field, json]));
        await storage.createTask(minimalTask(`created ${index}`, fields));
        await storage.createTask(minimalTask(`updated ${index}`));
        await storage.updateTask(`updated ${index}`, fields);
        await storage.settings.putSetting(`setting ${index}`, json, 0);
        for (const taskId of [`created ${index}`, `updated ${index}`]) {
          const task = await existing(storage, taskId);
          assertSame({ ...task, ...fields }, task);
        }
        assertSame((await storage.settings.getSetting(`setting ${index}`))?.value, json);
      }
      assert.equal(Reflect.get({}, 'polluted'), undefined, 'A prototype was polluted');
    });

    test('tells an empty object from null', async ({ storage }) => {
      await storage.createTask(minimalTask('task', { requestData: {}, sandboxInfo: null }));
      const { requestData, sandboxInfo } = await existing(storage, 'task');
      assertSame([requestData, sandboxInfo], [{}, null]);
    });

    test('has one kind of zero', async ({ storage }) => {
      await storage.createTask(minimalTask('task', { requestData: { zero: -0 } }));
      assertSame((await existing(storage, 'task')).requestData, { zero: 0 });
    });

    for (const [name, bad] of Object.entries(UNSTORABLE)) {
      test(`is refused with a value inside that is: ${name}`, async ({ storage }) => {
        await storage.createTask(minimalTask('task'));
        const before = await existing(storage, 'task');
        const wrap = (value: unknown): unknown => ({ good: 1, list: [null, { inside: value }] });
        await assertRefusedEverywhere(storage, '.list[1].inside', wrap, bad);
        assertSame(await existing(storage, 'task'), before);
        assertSame(await storedIds(storage), ['task']);
        assert.equal(await storage.settings.getSetting('name'), null);
      });
    }

    test('is refused when it is not an object at the top', async ({ storage }) => {
      await storage.createTask(minimalTask('task'));
      for (const value of [
        [],
        [1],
        'text',
        1,
        true,
        new Date(0),
        new Map(),
        new Custom(),
        () => 1,
      ]) {
        for (const field of TASK_JSON_FIELDS) {
          const fields = { [field]: value };
          const task = { ...minimalTask('new'), ...fields };
          await assertInvalid(field, () => storage.createTask(task));
          await assertInvalid(field, () => storage.updateTask('task', fields));
        }
      }
      assertSame(await storedIds(storage), ['task']);
    });

    test('nests as deep as documented, and no deeper', async ({ storage }) => {
      const deepest = nested(MAX_JSON_DEPTH - 1);
      await storage.createTask(minimalTask('task', { requestData: deepest }));
      assertSame((await existing(storage, 'task')).requestData, deepest);
      for (const steps of [MAX_JSON_DEPTH, 5000]) {
        await assertInvalid('requestData', () =>
          storage.createTask(minimalTask('new', { requestData: nested(steps) })),
        );
        await assertInvalid('requestData', () =>
          storage.updateTask('task', { requestData: nested(steps) }),
        );
      }
      assertSame(await storedIds(storage), ['task']);
    });

    test('may be 10 megabytes large', async ({ storage }) => {
      const messages = Array.from({ length: 1000 }, (_, index) => ({
        index,
        content: `${'The café 🦊 '.repeat(770)}${index}`,
      }));
      const conversationHistory = { planner: messages };
      await storage.createTask(minimalTask('task', { conversationHistory }));
      assertSame((await existing(storage, 'task')).conversationHistory, conversationHistory);
      await storage.updateTask('task', { conversationHistory: null, requestData: { messages } });
      assertSame((await existing(storage, 'task')).requestData, { messages });
    });
  },
};
