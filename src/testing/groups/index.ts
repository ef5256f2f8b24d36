import type { ConformanceGroup } from '../conformance-group.js';
import { randomOperationsGroup } from '../model/random-operations.js';
import { admissionGroup } from './admission.js';
import { aliasingGroup } from './aliasing.js';
import { changesGroup, sharedChangesGroup } from './changes.js';
import { cleanupByAgeGroup, cleanupGroup } from './cleanup.js';
import { concurrencyGroup } from './concurrency.js';
import { countGroup } from './count.js';
import { createGroup } from './create.js';
import { deleteGroup } from './delete.js';
import { eventsGroup } from './events.js';
import { exclusiveGroup } from './exclusive.js';
import { expiredLeasesGroup, staleLeasesGroup } from './expired-leases.js';
import { generatedArgumentsGroup } from './generated-arguments.js';
import { hostileArgumentsGroup } from './hostile-arguments.js';
import { hostileJsonGroup } from './hostile-json.js';
import { hostileLeasesGroup } from './hostile-leases.js';
import { hostileTextGroup } from './hostile-text.js';
import { idempotencyGroup } from './idempotency.js';
import { leasesGroup } from './leases.js';
import { lifecycleGroup } from './lifecycle.js';
import { listGroup } from './list.js';
import { pageTokensGroup } from './page-tokens.js';
import { queueGroup } from './queue.js';
import { secondProcessGroup } from './second-process.js';
import { settingsGroup } from './settings.js';
import { summaryGroup } from './summary.js';
import { tenantsGroup } from './tenants.js';
import { timesGroup } from './times.js';
import { closedGroup, unreachableGroup } from './unavailable.js';
import { updateGroup } from './update.js';

/** The whole contract, in the order of the report. */
export const conformanceGroups: readonly ConformanceGroup[] = [
  createGroup,
  updateGroup,
  lifecycleGroup,
  timesGroup,
  concurrencyGroup,
  aliasingGroup,
  deleteGroup,
  listGroup,
  pageTokensGroup,
  summaryGroup,
  countGroup,
  cleanupGroup,
  cleanupByAgeGroup,
  eventsGroup,
  admissionGroup,
  idempotencyGroup,
  leasesGroup,
  expiredLeasesGroup,
  staleLeasesGroup,
  queueGroup,
  changesGroup,
  tenantsGroup,
  hostileTextGroup,
  hostileJsonGroup,
  hostileArgumentsGroup,
  hostileLeasesGroup,
  generatedArgumentsGroup,
  settingsGroup,
  exclusiveGroup,
  closedGroup,
  secondProcessGroup,
  sharedChangesGroup,
  unreachableGroup,
  randomOperationsGroup,
];
