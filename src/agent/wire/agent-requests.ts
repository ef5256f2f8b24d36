import { z } from 'zod';
import type { JsonObject } from '../../task/json.js';
import { commonConfigSchema, llmConfigSchema } from './common-config.js';
import { optionalEnum, optionalText, soughtId } from './request-parsing.js';

/** The names of `SandboxOS` of the wire; the index is the number. */
export const SANDBOX_OPERATING_SYSTEMS = ['OSUNDEFINED', 'WINDOWS', 'LINUX', 'ANDROID'] as const;

const sandboxSchema = z.object({
  id: optionalText,
  name: optionalText,
  description: optionalText,
  shapeName: optionalText,
  hardwareAcceleratedEncoding: z
    .boolean()
    .optional()
    .transform((value) => value === true || undefined),
  os: optionalEnum('OSUNDEFINED', ['WINDOWS', 'LINUX', 'ANDROID']),
  virtualization: optionalText,
  architecture: optionalText,
});

export const runAgentInstructionSchema = z.object({
  instruction: optionalText.transform((value, context) => {
    if (value === undefined || value.trim() === '') {
      context.addIssue({ code: 'custom', message: 'is empty; write what to do' });
      return z.NEVER;
    }
    return value;
  }),
  sandbox: sandboxSchema.optional(),
  runningConfig: commonConfigSchema.optional(),
  destroySandbox: z.boolean().optional(),
  previousTaskId: soughtId.transform((value) => (value === '' ? undefined : value)),
});

/** `RunAgentInstructionRequest` of the wire, in protobuf's JSON form. */
export type RunAgentInstruction = z.output<typeof runAgentInstructionSchema>;

/** A request that names a task. */
export const taskIdSchema = z.object({ taskId: soughtId });

export const getCommonConfigSchema = z.object({ id: soughtId });

export const setGlobalCommonConfigSchema = z.object({
  commonConfig: commonConfigSchema.optional().transform(required),
});

export const setGlobalModelSchema = z.object({
  llmConfig: llmConfigSchema.optional().transform(required),
});

function required<T>(value: T | undefined, context: z.RefinementCtx): T {
  if (value === undefined) {
    context.addIssue({ code: 'custom', message: 'is missing' });
    return z.NEVER;
  }
  return value;
}

/** What is stored of the sandbox that a request names; `null` when it names none by its id. */
export function sandboxInfoOf(sandbox: RunAgentInstruction['sandbox']): JsonObject | null {
  if (sandbox?.id === undefined) {
    return null;
  }
  return {
    id: sandbox.id,
    os: SANDBOX_OPERATING_SYSTEMS.indexOf(sandbox.os ?? 'OSUNDEFINED'),
    shape_name: sandbox.shapeName ?? '',
  };
}
