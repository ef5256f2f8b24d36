import type { ConformanceGroup } from './conformance-group.js';
import { conformanceTest } from './conformance-group.js';
import { conformanceGroups } from './groups/index.js';
import type { TaskStorageCapabilities, TaskStorageFactory } from './harness.js';
import { globalTestApi } from './test-api.js';

/** Enough for the slowest test on a slow machine; a test that hangs still ends. */
const TEST_TIMEOUT_MS = 60_000;

/**
 * Defines the tests that every backend must pass, in the test runner that is at work. What a green
 * run proves is in `docs/custom-backend.md`.
 *
 * @param name of the backend, for the report
 */
export function describeTaskStorage(
  name: string,
  factory: TaskStorageFactory,
  capabilities: TaskStorageCapabilities,
): void {
  const { describe, it } = capabilities.testApi ?? globalTestApi();

  const defineGroup = (group: ConformanceGroup) => () => {
    group.define((sentence, run) => {
      const runOnFreshStorage = async (): Promise<void> => {
        const harness = await factory();
        try {
          await run(conformanceTest(harness, capabilities));
        } finally {
          await harness.dispose();
        }
      };
      it(sentence, runOnFreshStorage, TEST_TIMEOUT_MS);
    });
  };

  describe(`${name} task storage`, () => {
    for (const group of conformanceGroups) {
      if (group.requires === undefined || capabilities[group.requires]) {
        describe(group.title, defineGroup(group));
      } else {
        describe.skip(`${group.title} (not ${group.requires})`, defineGroup(group));
      }
    }
  });
}
