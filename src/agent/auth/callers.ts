/** Who is calling, as far as that decides what the call may reach. */
export interface Caller {
  /** The tenant whose tasks it knows of; `null` for all tenants. */
  readonly tenantId: string | null;
}

/** Where nobody authenticates, everybody may do everything. */
const EVERYBODY: Caller = { tenantId: null };

/** By the metadata of their calls, which Nest hands to controllers as it is. */
const callers = new WeakMap<object, Caller>();

let isAuthenticating = false;

/** From now on every call of this process must have a caller: a forgotten one fails. */
export function requireCallers(): void {
  isAuthenticating = true;
}

/** Says who is calling. */
export function rememberCaller(metadata: object, caller: Caller): void {
  callers.set(metadata, caller);
}

/**
 * @param metadata of the call
 * @throws when callers authenticate, and who is calling was lost on the way to the controller
 */
export function callerOf(metadata: unknown): Caller {
  const caller =
    typeof metadata === 'object' && metadata !== null ? callers.get(metadata) : undefined;
  if (caller !== undefined) {
    return caller;
  }
  if (isAuthenticating) {
    throw new Error('The metadata of a call was exchanged for another, so its caller is unknown');
  }
  return EVERYBODY;
}
