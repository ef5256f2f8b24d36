import { describe, expect, it } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import {
  commandRunnerEnvironment,
  createCommandAgentRunner,
} from '../../src/agent/command-runner/index.js';
import { ConfigurationError } from '../../src/config/configuration-error.js';
import { readEnvironment } from '../../src/config/environment.js';
import { RecordedRun } from '../support/recorded-run.js';

const PRINT_ENVIRONMENT = `-e 'console.log(JSON.stringify({type:"result",result:JSON.stringify([process.env, process.cwd()])}))'`;

function create(settings: Record<string, string>, variables: NodeJS.ProcessEnv = process.env) {
  const source = new Map(Object.entries(settings));
  return createCommandAgentRunner(readEnvironment(commandRunnerEnvironment, source), variables);
}

async function whatTheProgramSees(
  settings: Record<string, string>,
  variables: NodeJS.ProcessEnv,
): Promise<unknown> {
  const command = `"${process.execPath}" ${PRINT_ENVIRONMENT}`;
  const runner = create({ AGENT_COMMAND: command, ...settings }, variables);
  const outcome = await runner?.run(new RecordedRun());
  return JSON.parse(outcome?.result ?? 'null');
}

describe('createCommandAgentRunner', () => {
  it('masks what variables hold whose names or URLs speak of a secret, and no other', async () => {
    const variables = {
      DB_PWD: 'database-pass',
      DATABASE_URL: 'postgres://me:url-pass-word@host/db',
      GIT_AUTHOR_NAME: 'Ada Lovelace',
      KEYBOARD_LAYOUT: 'en-US-dvorak',
      SSH_AUTH_SOCK: '/tmp/agent.1',
    };
    const settings = { AGENT_ENV_ALLOW: Object.keys(variables).join() };
    const seen = await whatTheProgramSees(settings, { PATH: process.env['PATH'], ...variables });
    expect(seen).toMatchObject([
      { ...variables, DB_PWD: '********', DATABASE_URL: 'postgres://********@host/db' },
      expect.anything(),
    ]);
  });

  it('makes no runner when AGENT_COMMAND is not set', () => {
    expect(create({})).toBeNull();
    expect(create({ AGENT_COMMAND: '  ' })).toBeNull();
  });

  it('describes the runner by its program, without the arguments', () => {
    expect(create({ AGENT_COMMAND: 'python3 agent.py --key secret' })?.description).toBe(
      'the program python3',
    );
  });

  it('makes a runner that is resumable when AGENT_RESUMABLE says so', () => {
    const resumable = (value: string) =>
      create({ AGENT_COMMAND: 'run', AGENT_RESUMABLE: value })?.resumable;
    expect([resumable(''), resumable('0'), resumable('1'), resumable('true')]).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  it('lets the program see the variables that are allowed and no other', async () => {
    const allowed = {
      PATH: '/usr/bin',
      HOME: '/home/agent',
      USER: 'agent',
      LOGNAME: 'agent',
      LANG: 'C.UTF-8',
      LC_ALL: 'C.UTF-8',
      TZ: 'Asia/Tokyo',
      TMPDIR: '/tmp',
      OPENAI_API_KEY: 'sk-1',
      HTTPS_PROXY: 'http://proxy',
    };
    const hidden = {
      POSTGRES_CONNECTION_STRING: 'postgresql://user:secret@host/db',
      AGENT_COMMAND: 'x',
      NODE_OPTIONS: '--no-warnings',
      XPATH: 'x',
      LC_: 'x',
    };
    const [seen] = (await whatTheProgramSees(
      { AGENT_ENV_ALLOW: ' OPENAI_API_KEY,HTTPS_PROXY , NOT_SET,' },
      { ...allowed, ...hidden },
    )) as [NodeJS.ProcessEnv];
    // macOS adds this one to every process.
    delete seen['__CF_USER_TEXT_ENCODING'];
    expect(seen).toEqual(allowed);
  });

  it('runs the program in AGENT_WORKING_DIRECTORY', async () => {
    const folder = fileURLToPath(new URL('../../src/task', import.meta.url));
    const sees = await whatTheProgramSees({ AGENT_WORKING_DIRECTORY: folder }, {});
    expect(sees).toEqual([expect.anything(), folder]);
  });

  it.each([
    [
      { AGENT_ENV_ALLOW: 'HTTPS_PROXY,API_KEY=secret' },
      'Entry 2 of AGENT_ENV_ALLOW is not the name of a variable; write names separated by commas, without values',
    ],
    [
      { AGENT_COMMAND: 'run "secret' },
      'AGENT_COMMAND has a " at character 5 that nothing closes; add another',
    ],
    [
      { AGENT_WORKING_DIRECTORY: '/no/such/folder' },
      'AGENT_WORKING_DIRECTORY is "/no/such/folder", which is not a folder; write one that exists',
    ],
    [
      { AGENT_KILL_GRACE_MS: '-1' },
      'AGENT_KILL_GRACE_MS is "-1"; write a whole number from 0 to 600000',
    ],
  ])('refuses %j', (settings, message) => {
    expect(() => create({ AGENT_COMMAND: 'run', ...settings })).toThrow(
      new ConfigurationError(message),
    );
  });
});
