import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { commands } from '../../cli/commands/index.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { holdfast } from './run.ts';

test('the list names each command as the command names itself, so that the one asked for is found without the others', async () => {
  for (const group of Object.values(commands)) {
    for (const [names, load] of Object.entries(group)) {
      const program = new Command();
      (await load())(program);
      expect(program.commands.map((c) => [c.name(), ...c.aliases()].join('|'))).toEqual([names]);
    }
  }
});

test('a command is found behind global options, and none is taken for the value of one', async () => {
  const cwd = await temporaryDirectory();
  const asked = async (...words: string[]) => (await holdfast(words, { cwd })).stdout.split('\n')[0];
  expect(await asked('-q', '-c', 'backup', 'list', '--help')).toBe('Usage: holdfast list [options]');
  expect(await asked('pitr', '--help')).toBe('Usage: holdfast point-in-time-recovery|pitr [options]');
  expect((await holdfast(['bakup'], { cwd })).stderr).toContain('Did you mean backup?');
});
