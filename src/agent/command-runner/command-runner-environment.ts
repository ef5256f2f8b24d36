import { statSync } from 'node:fs';
import { z } from 'zod';
import { ConfigurationError } from '../../config/configuration-error.js';
import { flag, integer, text } from '../../config/environment.js';
import { CommandAgentRunner } from './command-agent-runner.js';
import { parseCommandLine } from './command-line.js';

/** The variables that configure {@link CommandAgentRunner}. Their texts may hold secrets. */
export const commandRunnerEnvironment = z.object({
  AGENT_COMMAND: text(),
  AGENT_WORKING_DIRECTORY: text(),
  AGENT_ENV_ALLOW: text(''),
  AGENT_KILL_GRACE_MS: integer({ minimum: 0, maximum: 600_000, defaultValue: 5_000 }),
  /** `1`: the program may be run again for a task whose replica was lost. */
  AGENT_RESUMABLE: flag(false),
});

/** The checked values of {@link commandRunnerEnvironment}. */
export type CommandRunnerEnvironment = z.output<typeof commandRunnerEnvironment>;

/** What a program needs to find other programs, its user's files, and the language and time. */
const ALWAYS_ALLOWED = /^(PATH|HOME|USER|LOGNAME|LANG|LC_[A-Z]+|TZ|TMPDIR)$/;

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

function parseNames(list: string): ReadonlySet<string> {
  const names = list.split(',').map((name) => name.trim());
  const wrong = names.findIndex((name) => name !== '' && !VARIABLE_NAME.test(name));
  if (wrong >= 0) {
    // The entry is not repeated: it may be a whole NAME=secret.
    throw new ConfigurationError(
      `Entry ${wrong + 1} of AGENT_ENV_ALLOW is not the name of a variable; write names separated by commas, without values`,
    );
  }
  return new Set(names);
}

function allowedVariables(all: NodeJS.ProcessEnv, allowed: ReadonlySet<string>): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => ALWAYS_ALLOWED.test(name) || allowed.has(name)),
  );
}

function checkedFolder(folder: string): string {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ConfigurationError(
      `AGENT_WORKING_DIRECTORY is ${JSON.stringify(folder)}, which is not a folder; write one that exists`,
    );
  }
  return folder;
}

/**
 * Makes the runner that the environment asks for.
 *
 * @param variables where the variables that the program may see are taken from
 * @returns `null` when `AGENT_COMMAND` is not set
 * @throws {ConfigurationError} naming the variable that is wrong
 */
export function createCommandAgentRunner(
  environment: CommandRunnerEnvironment,
  variables: NodeJS.ProcessEnv = process.env,
): CommandAgentRunner | null {
  const { AGENT_COMMAND, AGENT_WORKING_DIRECTORY, AGENT_ENV_ALLOW, AGENT_KILL_GRACE_MS } =
    environment;
  if (AGENT_COMMAND === undefined) {
    return null;
  }
  return new CommandAgentRunner({
    command: parseCommandLine('AGENT_COMMAND', AGENT_COMMAND),
    workingDirectory: checkedFolder(AGENT_WORKING_DIRECTORY ?? process.cwd()),
    environment: allowedVariables(variables, parseNames(AGENT_ENV_ALLOW)),
    killGraceMs: AGENT_KILL_GRACE_MS,
    resumable: environment.AGENT_RESUMABLE,
  });
}
