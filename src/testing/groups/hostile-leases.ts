import { assertInvalid, assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import { call, NO_COUNTS, NotPlain } from '../hostile-samples.js';
import { heldBy, LONG_LEASE_MS } from '../lease-samples.js';
import { event, existing, minimalTask, storedIds } from '../samples.js';

export const hostileLeasesGroup: ConformanceGroup = {
  title: 'hostile arguments about leases',
  define(test) {
    test('are refused as leases', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), heldBy('owner'));
      const before = await existing(storage, 'task');
      for (const lease of [null, 'owner', 1, [], new NotPlain()]) {
        await assertInvalid('lease', call(storage, 'createTask', minimalTask('new'), { lease }));
        await assertInvalid('lease', call(storage, 'updateTask', 'task', {}, { lease }));
        await assertInvalid(
          'lease',
          call(storage, 'appendEvents', 'task', [event('a')], { lease }),
        );
      }
      for (const leaseMs of [0, 86_400_001, null, undefined, ...NO_COUNTS]) {
        const lease = { owner: 'owner', leaseMs };
        await assertInvalid(
          'lease.leaseMs',
          call(storage, 'createTask', minimalTask('new'), { lease }),
        );
        await assertInvalid('leaseMs', call(storage.leases, 'renew', lease));
        const claim = { ...lease, limit: 1 };
        await assertInvalid('leaseMs', call(storage.leases, 'claimQueued', claim));
        await assertInvalid('leaseMs', call(storage.leases, 'claimExpired', claim));
      }
      for (const attempt of [0, null, undefined, ...NO_COUNTS]) {
        const guard = { lease: { owner: 'owner', attempt } };
        await assertInvalid('lease.attempt', call(storage, 'updateTask', 'task', {}, guard));
        const append = call(storage, 'appendEvents', 'task', [event('a')], guard);
        await assertInvalid('lease.attempt', append);
      }
      assertSame(await existing(storage, 'task'), before);
      assertSame(await storage.listEvents('task'), []);
      assertSame(await storedIds(storage), ['task']);
    });

    test('are refused as options of a claim', async ({ storage }) => {
      await storage.createTask(minimalTask('task'), { queue: true });
      const before = await existing(storage, 'task');
      const term = { owner: 'owner', leaseMs: LONG_LEASE_MS };
      const assertRefused = async (
        method: 'claimQueued' | 'claimExpired',
        option: string,
        value: unknown,
      ): Promise<void> => {
        const options = { ...term, limit: 1, [option]: value };
        await assertInvalid(option, call(storage.leases, method, options));
      };
      for (const limit of [0, 1001, null, undefined, ...NO_COUNTS]) {
        await assertRefused('claimQueued', 'limit', limit);
        await assertRefused('claimExpired', 'limit', limit);
      }
      for (const value of [null, ...NO_COUNTS]) {
        await assertRefused('claimQueued', 'maxHeldTasks', value);
        await assertRefused('claimQueued', 'maxHeldTasksPerTenant', value);
        await assertRefused('claimExpired', 'resumableAfterMs', value);
        await assertRefused('claimExpired', 'staleRunningMinutes', value);
      }
      await assertRefused('claimExpired', 'staleRunningMinutes', 0);
      await assertRefused('claimQueued', 'maxHeld', 1);
      await assertRefused('claimExpired', 'maxHeldTasks', 1);
      await assertInvalid('limit', call(storage.leases, 'renew', { ...term, limit: 1 }));
      for (const options of [null, undefined, 'owner', [], new NotPlain()]) {
        await assertInvalid('options', call(storage.leases, 'claimQueued', options));
        await assertInvalid('options', call(storage.leases, 'claimExpired', options));
        await assertInvalid('options', call(storage.leases, 'renew', options));
      }
      const tooMany = Array.from({ length: 10_001 }, () => 'task');
      for (const [field, taskIds] of [
        ['taskIds', null],
        ['taskIds', 'task'],
        ['taskIds', tooMany],
        ['taskIds[0]', ['']],
        ['taskIds[0]', Array(1)],
        ['taskIds[1]', ['task', 1]],
      ] as const) {
        await assertInvalid(field, call(storage.leases, 'renew', { ...term, taskIds }));
      }
      assertSame(await existing(storage, 'task'), before);
    });

    test('are refused as a queued task that does not wait, or is held', async ({ storage }) => {
      const running = minimalTask('new', { status: 'running' });
      await assertInvalid('queue', call(storage, 'createTask', running, { queue: true }));
      for (const queue of ['yes', 1, null]) {
        await assertInvalid('queue', call(storage, 'createTask', minimalTask('new'), { queue }));
      }
      const both = { queue: true, ...heldBy('owner') };
      await assertInvalid('queue', call(storage, 'createTask', minimalTask('new'), both));
      assertSame(await storedIds(storage), []);
    });
  },
};
