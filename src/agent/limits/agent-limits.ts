import type { z } from 'zod';
import { integer } from '../../config/environment.js';

/*
 * How much one client or one runner may make the service keep. What a request exceeds is refused,
 * what a runner exceeds is cut or left out where people see it: a run is worth more than its log.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Below what Postgres takes into one JSON value, 255 MiB. */
const MAX_FIELD_BYTES = 200 * MIB;

/** What each limit may be, written in the environment or given in code. */
export const agentLimitParsers = {
  maxInstructionBytes: integer({ minimum: 1, maximum: MAX_FIELD_BYTES, defaultValue: MIB }),
  maxFieldBytes: integer({ minimum: KIB, maximum: MAX_FIELD_BYTES, defaultValue: 32 * MIB }),
  maxStages: integer({ minimum: 1, maximum: 1_000_000, defaultValue: 10_000 }),
  maxStageBytes: integer({ minimum: KIB, maximum: MIB, defaultValue: 64 * KIB }),
  maxStreams: integer({ minimum: 1, maximum: 1_000_000, defaultValue: 500 }),
};

/** How much a task may hold, and how many may follow tasks. Bytes are those of UTF-8. */
export interface AgentLimitOptions {
  /** A longer instruction is refused. Default 1048576. */
  maxInstructionBytes?: number | undefined;
  /**
   * What one JSON field of a task may take: its request, conversation, statistics or sandbox. A
   * request that needs more is refused. Progress of a runner is left out, so that what was saved
   * before stays. Default 33554432.
   */
  maxFieldBytes?: number | undefined;
  /**
   * How many stages a task may have. One more says that the rest is left out; the task goes on, and
   * its end is stored. Default 10000.
   */
  maxStages?: number | undefined;
  /** The message of a stage, and the error of a task, are cut there, with a mark. Default 65536. */
  maxStageBytes?: number | undefined;
  /** How many streaming calls this process answers at once. Default 500. */
  maxStreams?: number | undefined;
}

/** {@link AgentLimitOptions}, checked and complete. */
export interface AgentLimits {
  readonly maxInstructionBytes: number;
  readonly maxFieldBytes: number;
  readonly maxStages: number;
  readonly maxStageBytes: number;
  readonly maxStreams: number;
}

/** The limits of what a runner may have stored. */
export type RunLimits = Pick<AgentLimits, 'maxFieldBytes' | 'maxStages' | 'maxStageBytes'>;

/** The variables of {@link AgentLimitOptions}. */
export const agentLimitVariables = {
  /** Bytes of the longest instruction. */
  TASK_MAX_INSTRUCTION_BYTES: agentLimitParsers.maxInstructionBytes,
  /** Bytes of one field of a task. */
  TASK_MAX_FIELD_BYTES: agentLimitParsers.maxFieldBytes,
  /** How many stages a task may have. */
  TASK_MAX_STAGES: agentLimitParsers.maxStages,
  /** Bytes of the message of a stage. */
  TASK_MAX_STAGE_BYTES: agentLimitParsers.maxStageBytes,
  /** How many streaming calls this process answers at once. */
  GRPC_MAX_STREAMS: agentLimitParsers.maxStreams,
};

/** Names the limits as {@link AgentLimitOptions} does. */
export function toAgentLimits(variables: {
  readonly [Name in keyof typeof agentLimitVariables]: z.output<(typeof agentLimitVariables)[Name]>;
}): AgentLimits {
  return {
    maxInstructionBytes: variables.TASK_MAX_INSTRUCTION_BYTES,
    maxFieldBytes: variables.TASK_MAX_FIELD_BYTES,
    maxStages: variables.TASK_MAX_STAGES,
    maxStageBytes: variables.TASK_MAX_STAGE_BYTES,
    maxStreams: variables.GRPC_MAX_STREAMS,
  };
}
