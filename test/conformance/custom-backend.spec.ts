import { MapTaskStorage } from '../../examples/custom-backend/map-task-storage.js';
import { systemClock } from '../../src/task/clock.js';
import { describeTaskStorage } from '../../src/testing/index.js';

const DAY_MS = 86_400_000;

describeTaskStorage(
  'the example of docs/custom-backend.md,',
  async () => {
    let aheadMs = 0;
    const storage = new MapTaskStorage({
      ...systemClock,
      now: () => new Date(Date.now() + aheadMs),
    });
    return {
      storage,
      passDays: async (days) => {
        aheadMs += days * DAY_MS;
      },
      dispose: () => storage.close(),
    };
  },
  { ages: true, durable: false, breakable: false },
);
