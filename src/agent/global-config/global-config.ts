import { Logger } from '@nestjs/common';
import { TaskConflictError, TaskStorageError } from '../../task/errors.js';
import type { JsonObject } from '../../task/json.js';
import type { SettingsStorage } from '../../task/task-storage.js';
import { AgentError } from '../agent-errors.js';
import { storableJson } from '../storable-text.js';
import {
  commonConfigSchema,
  overGlobalConfig,
  type CommonConfig,
  type GlobalModelStage,
  type LlmConfig,
} from '../wire/common-config.js';
import { maskApiKeys } from '../wire/secrets.js';
import { ApiKeys } from './api-keys.js';

/** The id under which clients ask for the global configuration. */
export const GLOBAL_CONFIG_ID = 'global';

const SETTING_NAME = 'global_common_config';

/** So often another replica may be faster before a setter gives up. */
const MAX_TRIES = 10;

interface StoredConfig {
  readonly config: CommonConfig;
  /** 0 when it was never set. */
  readonly version: number;
}

/** The configuration that every replica shares, and that holds where a task's own says nothing. */
export class GlobalConfig {
  readonly #logger = new Logger(GlobalConfig.name);
  readonly #apiKeys = new ApiKeys();

  constructor(
    private readonly settings: SettingsStorage,
    private readonly allowSet: boolean,
  ) {}

  /** @returns the configuration for an answer, its keys masked */
  async read(): Promise<JsonObject> {
    const { config } = await this.#load();
    return maskApiKeys(storableJson(config, SETTING_NAME));
  }

  /** @throws {AgentError} `CONFIG_READ_ONLY` unless setting is allowed */
  async replace(config: CommonConfig): Promise<void> {
    await this.#change(() => config);
  }

  /**
   * @returns the model for an answer, its key masked
   * @throws {AgentError} `CONFIG_READ_ONLY` unless setting is allowed
   */
  async replaceModel(stage: GlobalModelStage, model: LlmConfig): Promise<JsonObject> {
    await this.#change((config) => ({
      ...config,
      stageModelConfig: { ...config.stageModelConfig, [stage]: model },
    }));
    return maskApiKeys(storableJson(model, 'llmConfig'));
  }

  /** @returns what holds for a task: its own configuration over the global one, with the keys */
  async effectiveFor(own: CommonConfig | undefined): Promise<CommonConfig> {
    const { config } = await this.#load();
    const global = this.#apiKeys.restore(storableJson(config, SETTING_NAME));
    const ownConfig =
      own && commonConfigSchema.parse(this.#apiKeys.restore(storableJson(own, 'runningConfig')));
    return overGlobalConfig(ownConfig, commonConfigSchema.parse(global));
  }

  async #change(change: (config: CommonConfig) => CommonConfig): Promise<void> {
    if (!this.allowSet) {
      throw new AgentError(
        'CONFIG_READ_ONLY',
        'The global configuration is read-only; start the service with ALLOW_SET_GLOBAL_CONFIG=1 to set it',
      );
    }
    for (let tries = 1; ; tries += 1) {
      const { config, version } = await this.#load();
      const changed = storableJson({ ...change(config), id: GLOBAL_CONFIG_ID }, SETTING_NAME);
      const masked = maskApiKeys(changed);
      try {
        await this.settings.putSetting(SETTING_NAME, masked, version);
      } catch (error) {
        if (error instanceof TaskConflictError && tries < MAX_TRIES) {
          continue;
        }
        throw error;
      }
      this.#apiKeys.remember(changed);
      if (JSON.stringify(masked) !== JSON.stringify(changed)) {
        this.#logger.warn(
          'The API keys of the global configuration are kept in the memory of this process: they do not survive a restart and do not reach other replicas',
        );
      }
      return;
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
    return { config: { ...parsed.data, id: GLOBAL_CONFIG_ID }, version: setting?.version ?? 0 };
  }
}
