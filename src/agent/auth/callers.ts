/** Who is calling, as far as that decides what the call may reach. */
export interface Caller {
  /** The tenant whose tasks it knows of; `null` for all tenants. */
  readonly tenantId: string | null;
}

/** Where nobody authenticates, everybody may do everything. */
const EVERYBODY: Caller = { tenantId: null };

interface Callers {
  /** By the metadata of their calls, which Nest hands to controllers as it is. */
  readonly byMetadata: WeakMap<object, Caller>;
  /** How many ports of this process ask who is calling. */
  askingPorts: number;
}

const CALLERS = Symbol.for('nestjs-task-storage:callers');

const processWide: typeof globalThis & { [CALLERS]?: Callers } = globalThis;

/**
 * Of the process, and not of this module: where the package is loaded twice, the port may come from one
 * copy and the controllers from the other, for which everybody would be everybody.
 */
const callers: Callers = (processWide[CALLERS] ??= {
  byMetadata: new WeakMap(),
  askingPorts: 0,
});

/**
 * From now on every call of this process must have a caller: a forgotten one fails.
 *
 * @returns to be called once, when the port that asks for callers answers no more calls
 */
export function requireCallers(): () => void {
  callers.askingPorts += 1;
  return () => {
    callers.askingPorts -= 1;
  };
}

/** Says who is calling. */
export function rememberCaller(metadata: object, caller: Caller): void {
  callers.byMetadata.set(metadata, caller);
}

/**
 * @param metadata of the call
 * @throws when callers authenticate, and the call came through another port, or lost on its way who
 *   is calling
 */
export function callerOf(metadata: unknown): Caller {
  const caller =
    typeof metadata === 'object' && metadata !== null
      ? callers.byMetadata.get(metadata)
      : undefined;
  if (caller !== undefined) {
    return caller;
  }
  if (callers.askingPorts > 0) {
    throw new Error(
      'The caller of a call is unknown: its port asks for no tokens while another of this process does, or its metadata was exchanged',
    );
  }
  return EVERYBODY;
}

/**
 * For an RPC that reaches no tasks.
 *
 * @param metadata of the call
 * @throws as {@link callerOf}
 */
export function assertCaller(metadata: unknown): void {
  callerOf(metadata);
}
