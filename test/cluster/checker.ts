import { checkCancels, checkFollows, checkSubmissions } from './client-checks.js';
import { checkAudit, checkEnds, checkEvents } from './database-checks.js';
import type { Evidence } from './evidence.js';
import { checkLimit } from './limit-checks.js';
import { checkRuns } from './run-checks.js';

/**
 * Judges a phase by its records alone: it knows nothing of the service and shares no code with it.
 *
 * @returns what was violated, a sentence each; nothing when all held
 */
export function checkEvidence(evidence: Evidence): string[] {
  return [
    ...evidence.failures,
    ...checkLimit(evidence),
    ...checkEnds(evidence),
    ...checkAudit(evidence),
    ...checkEvents(evidence),
    ...checkSubmissions(evidence),
    ...checkCancels(evidence),
    ...checkFollows(evidence),
    ...checkRuns(evidence),
  ];
}
