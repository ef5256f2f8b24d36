/** What a turn came to. */
export interface Turn {
  readonly operationsPerSecond: number;
  /** Of each call, from its beginning to its answer. */
  readonly latenciesMs: readonly number[];
}

/** Does one call. Throws when the answer is wrong. */
export type Operation = (caller: number) => Promise<unknown>;

/** So many latencies of a turn are kept. */
const MAX_LATENCIES = 50_000;

/** Has callers call for a while, each again when it has its answer. */
export async function runCallers(
  operation: Operation,
  callers: number,
  turnMs: number,
): Promise<Turn> {
  const latenciesMs: number[] = [];
  let done = 0;
  const begin = performance.now();
  const end = begin + turnMs;
  const call = async (caller: number): Promise<void> => {
    let now = performance.now();
    do {
      const before = now;
      await operation(caller);
      now = performance.now();
      done += 1;
      if (latenciesMs.length < MAX_LATENCIES) {
        latenciesMs.push(now - before);
      }
    } while (now < end);
  };
  await Promise.all(Array.from({ length: callers }, async (_, caller) => call(caller)));
  return { operationsPerSecond: (done * 1000) / (performance.now() - begin), latenciesMs };
}
