/** While the storage tells of what other processes change. */
const LIVE_POLL_MS = 5_000;

/** The same while it does not. */
const POLL_MS = 1_000;

/** How often to look by oneself, in milliseconds, for what hints may not have told. */
export function pollIntervalMs(hints: { readonly isLive: boolean }): number {
  return hints.isLive ? LIVE_POLL_MS : POLL_MS;
}
