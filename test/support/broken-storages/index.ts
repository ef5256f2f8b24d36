import type { BrokenStorage } from './breaking.js';
import { brokenBursts } from './broken-bursts.js';
import { brokenChanges } from './broken-changes.js';
import { brokenEventsAndLimits } from './broken-events-and-limits.js';
import { brokenExpiredLeases } from './broken-expired-leases.js';
import { brokenLeases } from './broken-leases.js';
import { brokenLists } from './broken-lists.js';
import { brokenQueues } from './broken-queues.js';
import { brokenServices } from './broken-services.js';
import { brokenSummaries } from './broken-summaries.js';
import { brokenValues } from './broken-values.js';
import { brokenWrites } from './broken-writes.js';

/** Every mistake that the kit is known to notice. */
export const brokenStorages: readonly BrokenStorage[] = [
  ...brokenWrites,
  ...brokenBursts,
  ...brokenLists,
  ...brokenSummaries,
  ...brokenEventsAndLimits,
  ...brokenValues,
  ...brokenLeases,
  ...brokenExpiredLeases,
  ...brokenQueues,
  ...brokenChanges,
  ...brokenServices,
];
