import assert from 'node:assert/strict';
import { TaskConflictError } from '../../task/errors.js';
import { assertInvalid, assertRejects, assertSame, tally, times } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';

export const settingsGroup: ConformanceGroup = {
  title: 'settings',
  define(test) {
    test('are null until they are written', async ({ storage: { settings } }) => {
      assert.equal(await settings.getSetting('name'), null);
      assert.equal(await settings.putSetting('name', { a: 1 }, 0), 1);
      assertSame(await settings.getSetting('name'), { value: { a: 1 }, version: 1 });
    });

    test('are refused under names that storages keep for themselves', async ({ storage }) => {
      const { settings } = storage;
      const name = 'nestjs-task-storage:page-token-key';
      await assertInvalid('name', () => settings.getSetting(name));
      await assertInvalid('name', () => settings.putSetting(name, { key: 'forged' }, 1));
    });

    test('are replaced as a whole, one version after the other', async ({ storage }) => {
      const { settings } = storage;
      await settings.putSetting('name', { a: 1, b: { c: 2 } }, 0);
      assert.equal(await settings.putSetting('name', { b: {} }, 1), 2);
      assert.equal(await settings.putSetting('name', { b: {} }, 2), 3);
      assertSame(await settings.getSetting('name'), { value: { b: {} }, version: 3 });
    });

    test('are kept apart by name', async ({ storage: { settings } }) => {
      for (const name of ['name', 'Name', 'name ', '__proto__', 'constructor']) {
        assert.equal(await settings.getSetting(name), null);
        assert.equal(await settings.putSetting(name, { name }, 0), 1);
      }
      assertSame((await settings.getSetting('Name'))?.value, { name: 'Name' });
      assertSame((await settings.getSetting('__proto__'))?.value, { name: '__proto__' });
    });

    test('are not written at another version', async ({ storage: { settings } }) => {
      const refusal = async (expectedVersion: number): Promise<(number | undefined)[]> => {
        const error = await assertRejects('CONFLICT', () =>
          settings.putSetting('name', { other: true }, expectedVersion),
        );
        assert.ok(error instanceof TaskConflictError);
        return [error.expectedVersion, error.actualVersion];
      };
      assertSame(await refusal(1), [1, 0]);
      assert.equal(await settings.getSetting('name'), null);
      await settings.putSetting('name', { a: 1 }, 0);
      assertSame(await refusal(0), [0, 1]);
      assertSame(await refusal(2), [2, 1]);
      assertSame(await settings.getSetting('name'), { value: { a: 1 }, version: 1 });
    });

    test('are created and changed by one of many simultaneous writers', async ({ storage }) => {
      const { settings } = storage;
      for (const version of [0, 1]) {
        const writers = times(20, (index) => settings.putSetting('name', { index }, version));
        assertSame(await tally(writers), { [version + 1]: 1, CONFLICT: 19 });
      }
      assert.equal((await settings.getSetting('name'))?.version, 2);
    });

    test('refuse names and versions that make no sense', async ({ storage: { settings } }) => {
      for (const name of ['', 'a\0b', '\udfff', 'x'.repeat(256)]) {
        await assertInvalid('name', () => settings.getSetting(name));
        await assertInvalid('name', () => settings.putSetting(name, {}, 0));
      }
      for (const version of [-1, 0.5, Number.NaN, Infinity]) {
        await assertInvalid('expectedVersion', () => settings.putSetting('name', {}, version));
      }
      assert.equal(await settings.getSetting('name'), null);
    });
  },
};
