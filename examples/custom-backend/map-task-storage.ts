import {
  parseExpectedVersion,
  parseName,
  parseSettingName,
  parseSettingValue,
  parseTenantId,
  TaskConflictError,
  type Clock,
  type ExclusiveResult,
  type JsonObject,
  type Setting,
  type SettingsStorage,
  type TaskChanges,
  type TaskLeases,
  type TaskOperations,
  type TaskStorage,
} from '../../src/index.js';
import { Data } from './map-data.js';
import { MapLeases } from './map-leases.js';
import { MapTasks } from './map-tasks.js';

class MapSettings implements SettingsStorage {
  constructor(private readonly data: Data) {}

  async getSetting(name: string): Promise<Setting | null> {
    return structuredClone(this.data.open().settings.get(parseSettingName(name)) ?? null);
  }

  async putSetting(name: string, value: JsonObject, expectedVersion: number): Promise<number> {
    const { settings } = this.data.open();
    const key = parseSettingName(name);
    const expected = parseExpectedVersion(expectedVersion);
    const actual = settings.get(key)?.version ?? 0;
    const written: Setting = { value: parseSettingValue(value), version: actual + 1 };
    if (actual !== expected) {
      throw new TaskConflictError(`Setting ${key}`, expected, actual);
    }
    settings.set(key, written);
    return written.version;
  }
}

/** Tasks in a `Map`: the shortest backend that keeps the whole contract. */
export class MapTaskStorage extends MapTasks implements TaskStorage {
  readonly description = 'a map';
  readonly settings: SettingsStorage;
  readonly leases: TaskLeases;
  readonly changes: TaskChanges;

  constructor(clock: Clock) {
    const data = new Data(clock);
    super(data, null);
    this.settings = new MapSettings(data);
    this.leases = new MapLeases(data);
    this.changes = data.changes;
  }

  forTenant(tenantId: string): TaskOperations {
    return new MapTasks(this.data, parseTenantId(tenantId));
  }

  async ping(): Promise<void> {
    this.data.open();
  }

  async runExclusively<T>(
    name: string,
    work: (lost: AbortSignal) => Promise<T>,
  ): Promise<ExclusiveResult<T>> {
    const { exclusiveWork } = this.data.open();
    const key = parseName(name);
    if (exclusiveWork.has(key)) {
      return { ran: false };
    }
    exclusiveWork.add(key);
    try {
      return { ran: true, value: await work(new AbortController().signal) };
    } finally {
      exclusiveWork.delete(key);
    }
  }

  async close(): Promise<void> {
    this.data.isClosed = true;
    this.data.changes.listeners.clear();
  }
}
