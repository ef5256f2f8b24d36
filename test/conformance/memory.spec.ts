import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { systemClock, type Clock } from '../../src/task/clock.js';
import { describeTaskStorage } from '../../src/testing/index.js';

const DAY_MS = 86_400_000;

describeTaskStorage(
  'memory',
  async () => {
    let aheadMs = 0;
    const clock: Clock = {
      ...systemClock,
      now: () => new Date(systemClock.now().getTime() + aheadMs),
    };
    const storage = createMemoryTaskStorage({ clock });
    return {
      storage,
      passDays: async (days) => {
        aheadMs += days * DAY_MS;
      },
      dispose: () => storage.close(),
    };
  },
  { ages: true, durable: false, breakable: false, randomSequences: 200 },
);
