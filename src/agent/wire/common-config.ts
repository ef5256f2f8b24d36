import { z } from 'zod';
import { optionalEnum, optionalText } from './request-parsing.js';

/*
 * The configuration messages in protobuf's JSON form. Authorization and LLMConfig are schemas of
 * their own, because each goes with its secret and is never mixed from two sources.
 */

const authorizationSchema = z.object({
  orgID: optionalText,
  apiKey: optionalText,
  apiEndpoint: optionalText,
});

/** `LLMConfig` of the wire. */
export const llmConfigSchema = z.object({
  modelName: optionalText,
  provider: optionalText,
  apiKey: optionalText,
  apiEndpoint: optionalText,
});

const stageModel = llmConfigSchema.optional();

const stageModelConfigSchema = z.object({
  webSearchEngine: optionalText,
  contextFusionModel: stageModel,
  subtaskPlannerModel: stageModel,
  trajReflectorModel: stageModel,
  memoryRetrivalModel: stageModel,
  groundingModel: stageModel,
  taskEvaluatorModel: stageModel,
  actionGeneratorModel: stageModel,
  actionGeneratorWithTakeoverModel: stageModel,
  fastActionGeneratorModel: stageModel,
  fastActionGeneratorWithTakeoverModel: stageModel,
  dagTranslatorModel: stageModel,
  embeddingModel: stageModel,
  queryFormulatorModel: stageModel,
  narrativeSummarizationModel: stageModel,
  textSpanModel: stageModel,
  episodeSummarizationModel: stageModel,
});

/** `CommonConfig` of the wire. */
export const commonConfigSchema = z.object({
  id: optionalText,
  backend: optionalText,
  mode: optionalEnum('MODEUNDEFINED', ['NORMAL', 'FAST']),
  steps: z.int32().optional(),
  platform: optionalText,
  taskTimeout: z.int32().optional(),
  authorizationInfo: authorizationSchema.optional(),
  stageModelConfig: stageModelConfigSchema.optional(),
});

export type LlmConfig = z.output<typeof llmConfigSchema>;

type StageModelConfig = Partial<z.output<typeof stageModelConfigSchema>>;

/** The message as it was parsed. A field is left out or `undefined` when it was not sent. */
export type CommonConfig = Partial<
  Omit<z.output<typeof commonConfigSchema>, 'stageModelConfig'>
> & {
  stageModelConfig?: StageModelConfig | undefined;
};

/** The stages whose model the global configuration can set by itself. */
export type GlobalModelStage = 'actionGeneratorModel' | 'groundingModel' | 'embeddingModel';

function definedFields<T extends object>(message: T | undefined): Partial<T> {
  const copy: Partial<T> = { ...message };
  for (const key in copy) {
    if (copy[key] === undefined) {
      delete copy[key];
    }
  }
  return copy;
}

/**
 * What a request says, over the global configuration, field by field and stage by stage. The access
 * to one provider or model is taken whole from one of the two: a key must not reach an endpoint that
 * it was not meant for.
 */
export function overGlobalConfig(
  own: CommonConfig | undefined,
  global: CommonConfig,
): CommonConfig {
  const stageModelConfig = {
    ...definedFields(global.stageModelConfig),
    ...definedFields(own?.stageModelConfig),
  };
  return {
    ...definedFields(global),
    ...definedFields(own),
    id: own?.id,
    steps: firstPositive(own?.steps, global.steps),
    taskTimeout: firstPositive(own?.taskTimeout, global.taskTimeout),
    stageModelConfig: Object.keys(stageModelConfig).length > 0 ? stageModelConfig : undefined,
  };
}

function firstPositive(...values: (number | undefined)[]): number | undefined {
  return values.find((value) => value !== undefined && value > 0);
}
