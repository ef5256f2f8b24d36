import type { TerminalStatus } from '../task/task-lifecycle.js';

/** What came of a wish to cancel. */
export type Cancellation =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'ended-before'; readonly status: TerminalStatus };
