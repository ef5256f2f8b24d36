import { TaskConflictError } from '../../task/errors.js';
import { copyJson, type JsonObject } from '../../task/json.js';
import {
  parseExpectedVersion,
  parseSettingName,
  parseSettingValue,
} from '../../task/task-input.js';
import type { Setting, SettingsStorage } from '../../task/task-storage.js';
import type { Memory } from './memory.js';

/** Settings of one memory: checks and copies. */
export class MemorySettings implements SettingsStorage {
  constructor(private readonly memory: Memory) {}

  async getSetting(name: string): Promise<Setting | null> {
    const setting = this.memory.open().settings.get(parseSettingName(name));
    return setting === undefined
      ? null
      : { value: copyJson(setting.value), version: setting.version };
  }

  async putSetting(name: string, value: JsonObject, expectedVersion: number): Promise<number> {
    const { settings } = this.memory.open();
    const parsedName = parseSettingName(name);
    const parsedValue = parseSettingValue(value);
    const expected = parseExpectedVersion(expectedVersion);
    const actual = settings.get(parsedName)?.version ?? 0;
    if (actual !== expected) {
      throw new TaskConflictError(`Setting ${parsedName}`, expected, actual);
    }
    settings.set(parsedName, { value: parsedValue, version: actual + 1 });
    return actual + 1;
  }
}
