import { hostname } from 'node:os';
import { z } from 'zod';
import { choice, flag, integer, readEnvironment, text } from '../config/environment.js';
import { MAX_INTEGER } from '../task/value-parsers.js';
import {
  agentLimitParsers,
  type AgentLimitOptions,
  type AgentLimits,
} from './limits/agent-limits.js';
import { KeyRing, parseEncryptionKeys } from './encryption/key-ring.js';
import { redactionPaths, RedactionRules } from './redaction/redaction-rules.js';

/** The injection token of the storage that the agent's module uses. */
export const AGENT_STORAGE = Symbol('AGENT_STORAGE');

/** The injection token of the clock that the agent's module uses. */
export const AGENT_CLOCK = Symbol('AGENT_CLOCK');

/** The injection token of the {@link AgentSettings}. */
export const AGENT_SETTINGS = Symbol('AGENT_SETTINGS');

/** The names of the original service, and those of Nest. */
const LOG_LEVELS = [
  'DEBUG',
  'INFO',
  'WARNING',
  'ERROR',
  'CRITICAL',
  'verbose',
  'log',
  'warn',
  'fatal',
] as const;

/** A day. Timers take no more than 2_147_483_647 ms, the 20 s included that the service adds. */
const MAX_SHUTDOWN_GRACE_MS = 86_400_000;

/** The width of the lease column, less the name of one start. */
const MAX_INSTANCE_ID_CHARACTERS = 200;

/** How tasks are run, and who may configure them. */
export interface AgentModuleOptions extends AgentLimitOptions {
  /** How many tasks may be active at once, over all replicas; at least 1. Default 5. */
  maxTasks?: number | undefined;
  /** The same for the tasks of one tenant. Default: as many as `maxTasks`. */
  maxTasksPerTenant?: number | undefined;
  /** How many tasks this process may run at once. Default: as many as there are. */
  maxTasksPerReplica?: number | undefined;
  /**
   * What becomes of a task above the limit: `reject` (the default) refuses it, `queue` lets it wait
   * until a replica has room. All replicas must say the same.
   */
  whenFull?: 'reject' | 'queue' | undefined;
  /**
   * How long, in ms, a task stays with a replica that gives no sign of life; 1000 to 3600000. After
   * two thirds of it a replica that cannot reach the storage stops its runners. Default 30000.
   */
  leaseMs?: number | undefined;
  /** How often a task of a resumable runner is attempted, 1 to 1000. Default 3. */
  maxAttempts?: number | undefined;
  /**
   * Ends tasks that are `running` without a lease, as the original service writes them, when they
   * were not updated for so many minutes. Default: never.
   */
  staleRunningMinutes?: number | undefined;
  /**
   * The keys for secrets that must be stored, `id:key` pairs with 32 bytes of base64 each, separated
   * by commas: the first encrypts, all decrypt. Default: no secret is stored.
   */
  encryptionKeys?: string | undefined;
  /**
   * Fields with secrets of the application, as paths into a task's `requestData`, `sandboxInfo`,
   * `conversationHistory` and `executionStatistics`, such as `sandboxInfo.*.token`: `*` is any one key
   * or index. They reach the runner, and are masked in all that is stored. Default: none.
   */
  redact?: readonly string[] | undefined;
  /** Whether calls may set the global configuration. Default `false`. */
  allowSetGlobalConfig?: boolean | undefined;
  /** What `GetAgentInfo` answers as the log level; it changes no logging. Default `INFO`. */
  logLevel?: string | undefined;
  /**
   * The name of this replica, for people: tasks say which replica runs them, or was lost. At most
   * 200 characters. Default: the name of the host and the number of the process.
   */
  instanceId?: string | undefined;
  /** How long tasks may go on when the service is stopped, in ms, at most a day. Default 10000. */
  shutdownGraceMs?: number | undefined;
}

/** {@link AgentModuleOptions}, checked and complete. */
export interface AgentSettings extends AgentLimits {
  readonly maxTasks: number;
  /** `null` when a tenant may have all of them. */
  readonly maxTasksPerTenant: number | null;
  /** `Infinity` when this process may run as many as there are. */
  readonly maxTasksPerReplica: number;
  readonly whenFull: 'reject' | 'queue';
  readonly leaseMs: number;
  readonly maxAttempts: number;
  /** `null` when tasks without a lease are left alone. */
  readonly staleRunningMinutes: number | null;
  /** `null` when no secret is stored. */
  readonly keyRing: KeyRing | null;
  readonly redaction: RedactionRules;
  readonly allowSetGlobalConfig: boolean;
  readonly logLevel: string;
  readonly instanceId: string;
  readonly shutdownGraceMs: number;
}

/** What each option may be, written in the environment or given in code. */
export const agentParsers = {
  maxTasks: integer({ minimum: 1, maximum: MAX_INTEGER, defaultValue: 5 }),
  maxTasksPerTenant: integer({ minimum: 1, maximum: MAX_INTEGER }),
  maxTasksPerReplica: integer({ minimum: 1, maximum: MAX_INTEGER }),
  whenFull: choice(['reject', 'queue'], 'reject'),
  leaseMs: integer({ minimum: 1_000, maximum: 3_600_000, defaultValue: 30_000 }),
  maxAttempts: integer({ minimum: 1, maximum: 1_000, defaultValue: 3 }),
  staleRunningMinutes: integer({ minimum: 1, maximum: MAX_INTEGER }),
  /** Never refused here, because the error would repeat it. */
  encryptionKeys: text(),
  redact: redactionPaths,
  allowSetGlobalConfig: flag(false),
  logLevel: choice(LOG_LEVELS, 'INFO'),
  instanceId: text().refine(
    (value) => Array.from(value ?? '').length <= MAX_INSTANCE_ID_CHARACTERS,
    {
      error: `write at most ${MAX_INSTANCE_ID_CHARACTERS} characters`,
    },
  ),
  shutdownGraceMs: integer({ minimum: 0, maximum: MAX_SHUTDOWN_GRACE_MS, defaultValue: 10_000 }),
  ...agentLimitParsers,
};

/** @throws {ConfigurationError} with one sentence for each option that is wrong */
export function toAgentSettings(options: AgentModuleOptions): AgentSettings {
  const { encryptionKeys, redact, ...settings } = readEnvironment(
    z.object(agentParsers),
    new Map<string, unknown>(Object.entries(options)),
  );
  return {
    ...settings,
    maxTasksPerTenant: settings.maxTasksPerTenant ?? null,
    maxTasksPerReplica: settings.maxTasksPerReplica ?? Infinity,
    staleRunningMinutes: settings.staleRunningMinutes ?? null,
    instanceId: settings.instanceId ?? `${hostname()}:${process.pid}`,
    redaction: new RedactionRules(redact),
    keyRing: encryptionKeys === undefined ? null : new KeyRing(parseEncryptionKeys(encryptionKeys)),
  };
}
