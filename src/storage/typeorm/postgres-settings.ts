import { TaskConflictError, TaskStorageError } from '../../task/errors.js';
import { kindOf, type JsonObject } from '../../task/json.js';
import {
  parseExpectedVersion,
  parseSettingName,
  parseSettingValue,
} from '../../task/task-input.js';
import type { Setting, SettingsStorage } from '../../task/task-storage.js';
import type { PostgresConnection } from './postgres-connection.js';
import type { SchemaNames } from './schema-names.js';
import { isJsonObject, readNumber, readText } from './task-rows.js';

/** Settings in a table beside the tasks. */
export class PostgresSettings implements SettingsStorage {
  constructor(
    private readonly connection: PostgresConnection,
    private readonly names: SchemaNames,
  ) {}

  async getSetting(name: string): Promise<Setting | null> {
    const [row] = await this.connection.send({
      text: `SELECT value::text, version FROM ${this.names.settings} WHERE name = $1`,
      values: [parseSettingName(name)],
    });
    if (row === undefined) {
      return null;
    }
    const value: unknown = JSON.parse(readText(row, 'value'));
    if (!isJsonObject(value)) {
      throw new TaskStorageError(
        'CORRUPT',
        `The setting ${name} in ${this.names.settings} is ${kindOf(value)}, not a JSON object; delete its row, and write it anew`,
      );
    }
    return { value, version: readNumber(row, 'version') };
  }

  async putSetting(name: string, value: JsonObject, expectedVersion: number): Promise<number> {
    const key = parseSettingName(name);
    const expected = parseExpectedVersion(expectedVersion);
    const json = JSON.stringify(parseSettingValue(value));
    const written =
      expected === 0
        ? `INSERT INTO ${this.names.settings} (name, value) SELECT $1, $2::jsonb WHERE $3::int = 0
           ON CONFLICT (name) DO NOTHING RETURNING version`
        : `UPDATE ${this.names.settings}
           SET value = $2::jsonb, version = version + 1, updated_at = NOW()
           WHERE name = $1 AND version = $3 RETURNING version`;
    const [row] = await this.connection.send({
      text: `WITH written AS (${written}) SELECT version FROM written`,
      values: [key, json, expected],
    });
    if (row === undefined) {
      const found = await this.getSetting(key);
      throw new TaskConflictError(`Setting ${key}`, expected, found?.version ?? 0);
    }
    return readNumber(row, 'version');
  }
}
