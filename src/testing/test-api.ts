/** What the kit needs of a test runner. Jest, Vitest, Mocha and `node:test` all have it. */
export interface TestApi {
  readonly describe: Describe;
  readonly it: It;
}

interface Describe {
  (name: string, define: () => void): unknown;
  readonly skip: (name: string, define: () => void) => unknown;
}

type It = (name: string, run: () => Promise<void>, timeoutMs: number) => unknown;

function isDescribe(value: unknown): value is Describe {
  return typeof value === 'function' && 'skip' in value;
}

function isIt(value: unknown): value is It {
  return typeof value === 'function';
}

/** @throws {Error} when the runner defines no global `describe` and `it` */
export function globalTestApi(): TestApi {
  const describe: unknown = Reflect.get(globalThis, 'describe');
  const it: unknown = Reflect.get(globalThis, 'it');
  if (!isDescribe(describe) || !isIt(it)) {
    throw new Error(
      'There is no global describe and it; pass testApi: { describe, it } of your test runner',
    );
  }
  return { describe, it };
}
