import { Inject, Injectable } from '@nestjs/common';
import type { TaskStorage } from '../../task/task-storage.js';
import { AGENT_STORAGE } from '../agent-options.js';
import { toTaskScope, type TaskScope } from '../task-scope.js';
import { callerOf } from './callers.js';

/** Finds the tasks that the caller of a call knows of. */
@Injectable()
export class TaskScopes {
  readonly #allTenants: TaskScope;

  constructor(@Inject(AGENT_STORAGE) private readonly storage: TaskStorage) {
    this.#allTenants = toTaskScope(storage, null);
  }

  /** @param metadata of the call, as the controller got it */
  of(metadata: unknown): TaskScope {
    const { tenantId } = callerOf(metadata);
    return tenantId === null ? this.#allTenants : toTaskScope(this.storage, tenantId);
  }
}
