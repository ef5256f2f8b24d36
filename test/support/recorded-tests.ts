import type { TestApi } from '../../src/testing/index.js';

/** A test that was defined, to be run by hand. */
export interface RecordedTest {
  /** The titles of its groups and its own, joined by ` > `. */
  readonly name: string;
  readonly isSkipped: boolean;
  readonly run: () => Promise<void>;
}

/** Collects the tests that `define` defines, without running any. */
export function recordTests(define: (testApi: TestApi) => void): RecordedTest[] {
  const tests: RecordedTest[] = [];
  const path: string[] = [];
  let isSkipped = false;
  const enter = (name: string, defineGroup: () => void): void => {
    path.push(name);
    defineGroup();
    path.pop();
  };
  const skip = (name: string, defineGroup: () => void): void => {
    isSkipped = true;
    enter(name, defineGroup);
    isSkipped = false;
  };
  define({
    describe: Object.assign(enter, { skip }),
    it: (name, run) => {
      tests.push({ name: [...path, name].join(' > '), isSkipped, run });
    },
  });
  return tests;
}

/** Runs the tests that are not skipped. @returns the error of each failed test by its name */
export async function runRecordedTests(
  tests: readonly RecordedTest[],
): Promise<Map<string, unknown>> {
  const failures = new Map<string, unknown>();
  for (const { name, isSkipped, run } of tests) {
    if (!isSkipped) {
      await run().catch((error: unknown) => failures.set(name, error));
    }
  }
  return failures;
}
