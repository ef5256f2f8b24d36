import { Logger } from '@nestjs/common';
import { TaskConflictError, TaskStorageError } from '../../task/errors.js';
import type { JsonObject } from '../../task/json.js';
import type { SettingsStorage } from '../../task/task-storage.js';
import { AgentError, InvalidRequestError } from '../agent-errors.js';
import { describeError } from '../describe-error.js';
import type { AgentSettings } from '../agent-options.js';
import { storableJson } from '../storable-text.js';
import {
  commonConfigSchema,
  overGlobalConfig,
  type CommonConfig,
  type GlobalModelStage,
  type LlmConfig,
} from '../wire/common-config.js';
import { maskApiKeys, maskConfig, restoreEndpoints } from '../wire/secrets.js';
import { ApiKeys } from './api-keys.js';

/** The id under which clients ask for the global configuration. */
export const GLOBAL_CONFIG_ID = 'global';

const SETTING_NAME = 'global_common_config';

/** Each task copies it, so that a large one would slow down everybody. */
const MAX_CONFIG_BYTES = 256 * 1024;

/** So often another replica may be faster before a setter gives up. */
const MAX_TRIES = 10;

/** Beside the configuration in its setting: the API keys, sealed. */
const SEALED_KEYS_FIELD = 'sealedApiKeys';

interface StoredConfig {
  readonly config: CommonConfig;
  /** `null` when none are stored. */
  readonly sealedKeys: string | null;
  /** 0 when it was never set. */
  readonly version: number;
}

/** Who may set the configuration, and how it is stored. Without a key ring its API keys are not. */
export type GlobalConfigRules = Pick<AgentSettings, 'allowSetGlobalConfig' | 'keyRing'>;

/**
 * Only API keys are kept apart and sealed.
 *
 * @param stored what a client may have read and sends back
 * @throws {InvalidRequestError} when an endpoint carries a user, a password or a key
 */
function withoutCredentials(config: object, stored: object | undefined, field: string): JsonObject {
  return restoreEndpoints(
    storableJson(config, field),
    storableJson(stored ?? {}, SETTING_NAME),
    (path) => {
      throw new InvalidRequestError(
        `${field}.${path}`,
        'carries credentials or their masks, which the global configuration does not keep; write it without them, and send the key as apiKey',
      );
    },
  );
}

/** The configuration that every replica shares, and that holds where a task's own says nothing. */
export class GlobalConfig {
  readonly #logger = new Logger(GlobalConfig.name);
  /** Those that were set here; the only ones where none can be stored. */
  #keysInMemory = new ApiKeys();

  constructor(
    private readonly settings: SettingsStorage,
    private readonly rules: GlobalConfigRules,
  ) {}

  /** @returns the configuration for an answer, its keys masked */
  async read(): Promise<JsonObject> {
    const { config } = await this.#load();
    return maskConfig(storableJson(config, SETTING_NAME));
  }

  /**
   * @throws {AgentError} `CONFIG_READ_ONLY` unless setting is allowed
   * @throws {InvalidRequestError} when it is too large
   */
  async replace(config: CommonConfig): Promise<void> {
    await this.#change('commonConfig', (stored) =>
      withoutCredentials(config, stored, 'commonConfig'),
    );
  }

  /**
   * @returns the model for an answer, its key masked
   * @throws {AgentError} `CONFIG_READ_ONLY` unless setting is allowed
   */
  async replaceModel(stage: GlobalModelStage, model: LlmConfig): Promise<JsonObject> {
    await this.#change('llmConfig', (config) => ({
      ...config,
      stageModelConfig: {
        ...config.stageModelConfig,
        [stage]: withoutCredentials(model, config.stageModelConfig?.[stage], 'llmConfig'),
      },
    }));
    return maskConfig(storableJson(model, 'llmConfig'));
  }

  /** @returns what holds for a task: its own configuration over the global one, with the keys */
  async effectiveFor(own: CommonConfig | undefined): Promise<CommonConfig> {
    const { config, sealedKeys } = await this.#load();
    const keys = this.#keysOf(sealedKeys);
    const global = keys.restore(storableJson(config, SETTING_NAME));
    const ownConfig =
      own && commonConfigSchema.parse(keys.restore(storableJson(own, 'runningConfig')));
    return overGlobalConfig(ownConfig, commonConfigSchema.parse(global));
  }

  async #change(field: string, change: (config: CommonConfig) => object): Promise<void> {
    const { allowSetGlobalConfig, keyRing } = this.rules;
    if (!allowSetGlobalConfig) {
      throw new AgentError(
        'CONFIG_READ_ONLY',
        'The global configuration is read-only; start the service with ALLOW_SET_GLOBAL_CONFIG=1 to set it',
      );
    }
    for (let tries = 1; ; tries += 1) {
      const { config, sealedKeys, version } = await this.#load();
      const changed = storableJson({ ...change(config), id: GLOBAL_CONFIG_ID }, SETTING_NAME);
      assertShort(field, changed);
      const keys = this.#keysBefore(sealedKeys).afterSetting(changed);
      try {
        await this.settings.putSetting(SETTING_NAME, this.#toStored(changed, keys), version);
      } catch (error) {
        if (error instanceof TaskConflictError && tries < MAX_TRIES) {
          continue;
        }
        throw error;
      }
      this.#keysInMemory = keys;
      if (keys.size > 0 && keyRing === null) {
        this.#logger.warn(
          'The API keys of the global configuration are kept in the memory of this process: they do not survive a restart and do not reach other replicas; set TASK_STORAGE_ENCRYPTION_KEYS, so that they are stored encrypted',
        );
      }
      return;
    }
  }

  /** Whoever sets the configuration anew must be able to, also when the keys before are lost. */
  #keysBefore(sealedKeys: string | null): ApiKeys {
    try {
      return this.#keysOf(sealedKeys);
    } catch (error) {
      this.#logger.error(`The API keys set before are dropped: ${describeError(error)}`);
      return new ApiKeys();
    }
  }

  #toStored(config: JsonObject, keys: ApiKeys): JsonObject {
    const masked = maskApiKeys(config);
    return keys.size === 0 || this.rules.keyRing === null
      ? masked
      : { ...masked, [SEALED_KEYS_FIELD]: this.rules.keyRing.seal(keys.serialize(), SETTING_NAME) };
  }

  /** @throws {TaskStorageError} `MISCONFIGURED` when this process has not the key to open them */
  #keysOf(sealedKeys: string | null): ApiKeys {
    if (this.rules.keyRing === null) {
      return this.#keysInMemory;
    }
    if (sealedKeys === null) {
      return new ApiKeys();
    }
    try {
      return ApiKeys.parse(this.rules.keyRing.open(sealedKeys, SETTING_NAME));
    } catch (error) {
      throw new TaskStorageError(
        'MISCONFIGURED',
        'The API keys of the global configuration cannot be opened; set TASK_STORAGE_ENCRYPTION_KEYS to the keys of the other replicas',
        { cause: error },
      );
    }
  }

  async #load(): Promise<StoredConfig> {
    const setting = await this.settings.getSetting(SETTING_NAME);
    const parsed = commonConfigSchema.safeParse(setting?.value ?? {});
    if (!parsed.success) {
      throw new TaskStorageError('CORRUPT', `The setting ${SETTING_NAME} is not a configuration`, {
        cause: parsed.error,
      });
    }
    const sealedKeys = setting?.value[SEALED_KEYS_FIELD];
    return {
      config: { ...parsed.data, id: GLOBAL_CONFIG_ID },
      sealedKeys: typeof sealedKeys === 'string' ? sealedKeys : null,
      version: setting?.version ?? 0,
    };
  }
}

/** @throws {InvalidRequestError} naming the field that makes the configuration too large */
function assertShort(field: string, config: JsonObject): void {
  const bytes = Buffer.byteLength(JSON.stringify(config));
  if (bytes > MAX_CONFIG_BYTES) {
    throw new InvalidRequestError(
      field,
      `would make the global configuration take ${bytes} bytes as JSON; it may take ${MAX_CONFIG_BYTES}`,
    );
  }
}
