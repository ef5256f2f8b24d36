import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { agentEnvironment } from '../../src/agent/agent-environment.js';
import { commandRunnerEnvironment } from '../../src/agent/command-runner/index.js';
import { readEnvironment } from '../../src/config/environment.js';
import { metricsEnvironment } from '../../src/metrics/metrics-environment.js';
import { retentionEnvironment } from '../../src/retention/retention-environment.js';
import { taskStorageEnvironment } from '../../src/storage/task-storage-environment.js';

const environment = z.object({
  ...taskStorageEnvironment.shape,
  ...agentEnvironment.shape,
  ...commandRunnerEnvironment.shape,
  ...retentionEnvironment.shape,
  ...metricsEnvironment.shape,
});

const names = Object.keys(environment.shape);

function readProjectFile(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

describe('.env.example', () => {
  const lines = readProjectFile('.env.example').matchAll(/^(#?)([A-Z_]+)=(.*)$/gm);
  const variables = [...lines].map(([, mark, name = '', value = '']) => ({
    isSet: mark === '',
    name,
    value,
  }));

  it('has every variable of the configuration, once, and no other', () => {
    expect(variables).toHaveLength(names.length);
    expect(new Set(variables.map(({ name }) => name))).toEqual(new Set(names));
  });

  it('sets the defaults', () => {
    const set = variables
      .filter(({ isSet }) => isSet)
      .map(({ name, value }) => [name, value] as const);
    expect(readEnvironment(environment, new Map(set))).toEqual(
      readEnvironment(environment, new Map()),
    );
  });

  it('shows values that are accepted for the variables that it does not set', () => {
    const all = variables.map(({ name, value }) => [name, value] as const);
    expect(() => readEnvironment(environment, new Map(all))).not.toThrow();
  });
});

describe('README.md', () => {
  it('has every variable in its table of options, with its default', () => {
    const defaults = readEnvironment(environment, new Map());
    const rows = [...readProjectFile('README.md').matchAll(/^\| `([A-Z_]+)`\s*\| ([^|]*?)\s*\|/gm)];
    expect(rows).toHaveLength(names.length);
    expect(new Set(rows.map(([, name]) => name))).toEqual(new Set(names));
    for (const [, name = '', written = ''] of rows) {
      const shown = readEnvironment(environment, new Map([[name, written.replaceAll('`', '')]]));
      expect([name, written === '' ? undefined : Reflect.get(shown, name)]).toEqual([
        name,
        written === '' && Reflect.get(defaults, name) === ''
          ? undefined
          : Reflect.get(defaults, name),
      ]);
    }
  });
});
