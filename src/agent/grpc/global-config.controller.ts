import { Controller, UseFilters } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { JsonObject } from '../../task/json.js';
import { TaskNotFoundError } from '../agent-errors.js';
import { assertCaller } from '../auth/callers.js';
import { TaskScopes } from '../auth/task-scopes.js';
import { GLOBAL_CONFIG_ID, GlobalConfig } from '../global-config/global-config.js';
import {
  getCommonConfigSchema,
  setGlobalCommonConfigSchema,
  setGlobalModelSchema,
} from '../wire/agent-requests.js';
import { toCommonConfig } from '../wire/agent-responses.js';
import type { GlobalModelStage } from '../wire/common-config.js';
import { emptyRequestSchema, parseRequest } from '../wire/request-parsing.js';
import { isTaskId } from '../wire/task-id.js';
import { GrpcExceptionFilter } from './grpc-exception.filter.js';
import { AGENT_SERVICE } from './proto-files.js';

/** The RPCs of `lybic.agent.Agent` that read and set configurations. */
@Controller()
@UseFilters(GrpcExceptionFilter)
export class GlobalConfigController {
  constructor(
    private readonly scopes: TaskScopes,
    private readonly globalConfig: GlobalConfig,
  ) {}

  @GrpcMethod(AGENT_SERVICE, 'GetGlobalCommonConfig')
  async getGlobalCommonConfig(request: unknown, metadata: unknown): Promise<JsonObject> {
    assertCaller(metadata);
    parseRequest(emptyRequestSchema, request);
    return this.globalConfig.read();
  }

  @GrpcMethod(AGENT_SERVICE, 'GetCommonConfig')
  async getCommonConfig(request: unknown, metadata: unknown): Promise<JsonObject> {
    const { tasks } = this.scopes.of(metadata);
    const { id } = parseRequest(getCommonConfigSchema, request);
    if (id === GLOBAL_CONFIG_ID) {
      return this.globalConfig.read();
    }
    const task = isTaskId(id) ? await tasks.getTask(id) : null;
    if (task === null) {
      throw new TaskNotFoundError(id);
    }
    return toCommonConfig(task);
  }

  @GrpcMethod(AGENT_SERVICE, 'SetGlobalCommonConfig')
  async setGlobalCommonConfig(
    request: unknown,
    metadata: unknown,
  ): Promise<{ success: boolean; id: string }> {
    assertCaller(metadata);
    const { commonConfig } = parseRequest(setGlobalCommonConfigSchema, request);
    await this.globalConfig.replace(commonConfig);
    return { success: true, id: GLOBAL_CONFIG_ID };
  }

  @GrpcMethod(AGENT_SERVICE, 'SetGlobalCommonLLMConfig')
  async setGlobalCommonLlmConfig(request: unknown, metadata: unknown): Promise<JsonObject> {
    return this.#setModel('actionGeneratorModel', request, metadata);
  }

  @GrpcMethod(AGENT_SERVICE, 'SetGlobalGroundingLLMConfig')
  async setGlobalGroundingLlmConfig(request: unknown, metadata: unknown): Promise<JsonObject> {
    return this.#setModel('groundingModel', request, metadata);
  }

  @GrpcMethod(AGENT_SERVICE, 'SetGlobalEmbeddingLLMConfig')
  async setGlobalEmbeddingLlmConfig(request: unknown, metadata: unknown): Promise<JsonObject> {
    return this.#setModel('embeddingModel', request, metadata);
  }

  async #setModel(
    stage: GlobalModelStage,
    request: unknown,
    metadata: unknown,
  ): Promise<JsonObject> {
    assertCaller(metadata);
    const { llmConfig } = parseRequest(setGlobalModelSchema, request);
    return this.globalConfig.replaceModel(stage, llmConfig);
  }
}
