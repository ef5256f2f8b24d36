import fc from 'fast-check';
import type { ConformanceGroup } from '../conformance-group.js';
import { ComparedStorage } from './compared-storage.js';
import { TASK_IDS } from './operation.js';
import { operationSequences } from './operations.js';

const DEFAULT_SEQUENCES = 30;

/** Ends a long search for the shortest failing sequence before the test runner ends the test. */
const TIME_LIMIT_MS = 45_000;

export const randomOperationsGroup: ConformanceGroup = {
  title: 'random operations',
  define(test) {
    test('are answered as a plain model of the contract answers them', async (setup) => {
      const { storage, capabilities, passDays } = setup;
      await fc.assert(
        fc
          .asyncProperty(operationSequences(capabilities.ages), async (operations) => {
            const compared = new ComparedStorage({ storage, passDays });
            for (const operation of operations) {
              await compared.apply(operation);
            }
            await compared.audit();
          })
          .beforeEach(async () => {
            for (const taskId of TASK_IDS) {
              await storage.deleteTask(taskId);
            }
          }),
        {
          numRuns: capabilities.randomSequences ?? DEFAULT_SEQUENCES,
          interruptAfterTimeLimit: TIME_LIMIT_MS,
          markInterruptAsFailure: true,
        },
      );
    });
  },
};
