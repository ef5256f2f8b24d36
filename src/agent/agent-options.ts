import { z } from 'zod';
import { choice, flag, integer, readEnvironment, text } from '../config/environment.js';
import { MAX_INTEGER } from '../task/value-parsers.js';

/** The injection token of the storage that the agent's module uses. */
export const AGENT_STORAGE = Symbol('AGENT_STORAGE');

/** The injection token of the clock that the agent's module uses. */
export const AGENT_CLOCK = Symbol('AGENT_CLOCK');

/** The injection token of the name that marks the tasks of this process. */
export const AGENT_LEASE_OWNER = Symbol('AGENT_LEASE_OWNER');

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

/** The width of the lease column, less the name of one start. */
const MAX_INSTANCE_ID_CHARACTERS = 200;

/** How tasks are run, and who may configure them. */
export interface AgentModuleOptions {
  /** How many tasks may be active at once, over all replicas; at least 1. Default 5. */
  maxTasks?: number | undefined;
  /** Whether calls may set the global configuration. Default `false`. */
  allowSetGlobalConfig?: boolean | undefined;
  /** What `GetAgentInfo` answers as the log level; it changes no logging. Default `INFO`. */
  logLevel?: string | undefined;
  /**
   * Who this process is among those on the same storage: the same each time that it is started, and
   * different from all others that run, which is checked. At its start it ends the tasks that it
   * left behind when it was killed. At most 200 characters. Default: nobody, who ends none.
   */
  instanceId?: string | undefined;
  /** How long tasks may go on when the service is stopped, in ms. Default 10000. */
  shutdownGraceMs?: number | undefined;
}

/** {@link AgentModuleOptions}, checked and complete. */
export interface AgentSettings {
  readonly maxTasks: number;
  readonly allowSetGlobalConfig: boolean;
  readonly logLevel: string;
  /** `null` when this process is nobody's successor. */
  readonly instanceId: string | null;
  readonly shutdownGraceMs: number;
}

/** What each option may be, written in the environment or given in code. */
export const agentParsers = {
  maxTasks: integer({ minimum: 1, maximum: MAX_INTEGER, defaultValue: 5 }),
  allowSetGlobalConfig: flag(false),
  logLevel: choice(LOG_LEVELS, 'INFO'),
  instanceId: text().refine(
    (value) => Array.from(value ?? '').length <= MAX_INSTANCE_ID_CHARACTERS,
    {
      error: `write at most ${MAX_INSTANCE_ID_CHARACTERS} characters`,
    },
  ),
  shutdownGraceMs: integer({ minimum: 0, maximum: MAX_INTEGER, defaultValue: 10_000 }),
};

/** @throws {ConfigurationError} with one sentence for each option that is wrong */
export function toAgentSettings(options: AgentModuleOptions): AgentSettings {
  const settings = readEnvironment(
    z.object(agentParsers),
    new Map<string, unknown>(Object.entries(options)),
  );
  return { ...settings, instanceId: settings.instanceId ?? null };
}
