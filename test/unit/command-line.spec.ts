import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseCommandLine } from '../../src/agent/command-runner/command-line.js';
import { ConfigurationError } from '../../src/config/configuration-error.js';

const parse = (text: string) => parseCommandLine('AGENT_COMMAND', text);

describe('parseCommandLine', () => {
  it.each([
    ['node agent.mjs', ['node', 'agent.mjs']],
    ['  node\t agent.mjs \n', ['node', 'agent.mjs']],
    [`'/opt/my agent/run' --name "a b"`, ['/opt/my agent/run', '--name', 'a b']],
    [`run a'b c'"d e"f`, ['run', 'ab cd ef']],
    [`run '' ""`, ['run', '', '']],
    [`run a\\ b \\" \\\\`, ['run', 'a b', '"', '\\']],
    [`run '\\n' "\\n" "\\"\\\\\\$\\\`"`, ['run', '\\n', '\\n', '"\\$`']],
    [`run "it's" 'say "hi"'`, ['run', `it's`, 'say "hi"']],
    [
      'run $HOME *.txt | tee > log & # no',
      ['run', '$HOME', '*.txt', '|', 'tee', '>', 'log', '&', '#', 'no'],
    ],
    ['run größe 🙂', ['run', 'größe', '🙂']],
  ])('splits %j', (text, words) => {
    expect(parse(text)).toEqual(words);
  });

  it('gives back every word that was put between single quotes', () => {
    const word = fc.string({ unit: 'grapheme' }).filter((text) => !/['\0]/.test(text));
    fc.assert(
      fc.property(
        fc.array(
          word.filter((text) => text !== ''),
          { minLength: 1 },
        ),
        (words) => {
          expect(parse(words.map((text) => `'${text}'`).join(' '))).toEqual(words);
        },
      ),
    );
  });

  it('gives back every word whose every character was escaped', () => {
    const word = fc.string({ minLength: 1 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (words) => {
        const escaped = words.map((text) => text.replaceAll(/./gsu, '\\$&'));
        expect(parse(escaped.join(' '))).toEqual(words);
      }),
    );
  });

  it.each([
    [`run 'secret`, `AGENT_COMMAND has a ' at character 5 that nothing closes; add another`],
    ['run "secret', 'AGENT_COMMAND has a " at character 5 that nothing closes; add another'],
    ['run "secret\\"', 'AGENT_COMMAND has a " at character 5 that nothing closes; add another'],
    ['run secret\\', 'AGENT_COMMAND ends with a backslash; write \\\\ for a backslash'],
    ['   ', 'AGENT_COMMAND names no program; write the program first'],
    [`'' secret`, 'AGENT_COMMAND names no program; write the program first'],
    ['run \0secret', 'AGENT_COMMAND has a NUL character, which no program can be given'],
  ])('refuses %j without repeating it', (text, message) => {
    expect(() => parse(text)).toThrow(new ConfigurationError(message));
  });
});
