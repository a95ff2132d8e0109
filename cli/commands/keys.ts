import { KeyFile } from '../../adapters/local/keyFile.ts';
import { systemClock } from '../../adapters/local/systemClock.ts';
import { ConfigError } from '../../core/errors.ts';
import { type KeyState, keyStates } from '../../core/keys/ages.ts';
import { rewrapTenantKeys, tenantKeys } from '../../core/keys/tenantKeys.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { handle, type Register } from '../command.ts';
import { openPersons } from '../keys.ts';
import { bold, count, green, yellow } from '../output.ts';
import { contextOf, openObjectStore, settingsOf } from '../runtime.ts';

export const keysCommand: Register = (program) => {
  const keys = program
    .command('keys')
    .summary('age of the root key, rotation')
    .description('The root key and the signing key: how old they are, changing them, wrapping with a new one.');

  handle(
    keys
      .command('status')
      .description('How old the keys are, and which tenant keys the root wraps. Exit code 1 when a rotation is due.'),
    async (options) => {
      const context = await contextOf(options, 'store');
      const states = await keyStates(context.keys, systemClock.now());
      const due = states.some((state) => state.due);
      await openStore(context);
      let [current, older] = [0, 0];
      for await (const key of tenantKeys(context)) key.current ? current++ : older++;
      const lines = [
        ...states.map(line),
        `${count(current, 'tenant key')} wrapped by the current root, ${older} by an older one only`,
        ...(older > 0 ? ['"holdfast keys rewrap" wraps them with the current one too.'] : []),
        due ? yellow('A rotation is due.') : green('All is well.'),
      ];
      return {
        json: { rootKey: context.keys.rootKeyId, keys: states, due, tenantKeys: { current, older } },
        text: lines.join('\n'),
        exitCode: due ? 1 : 0,
      };
    },
  );

  handle(
    keys
      .command('rotate')
      .description(
        'Adds a new root key and a new signing key to the key file; the old ones stay in it, to read what they made.',
      ),
    async (options) => {
      const settings = await settingsOf(options);
      if (settings.kms) {
        throw new ConfigError('HF_KEYS_IN_KMS', 'The keys are in KMS, which rotates its root keys itself.', {
          action: 'Turn on automatic rotation there, every 90 days; docs/keys.md tells how a signing key is changed.',
          details: { rootKey: settings.kms.root },
        });
      }
      const file = await KeyFile.rotate(settings.keys);
      return {
        json: { rootKey: file.rootKeyId, keyFile: settings.keys },
        text: [
          `${bold(file.rootKeyId)} is the root key from now on.`,
          yellow(
            `Copy ${settings.keys} to where you keep its copy now: an older copy cannot read what is made from here on.`,
          ),
          'Older backups read as before. holdfast keys rewrap wraps their keys with the new root too.',
        ].join('\n'),
      };
    },
  );

  handle(
    keys
      .command('rewrap')
      .description('Wraps every tenant key with the current root key. No byte of a backup is touched.'),
    async (options) => {
      const context = await contextOf(options, 'store');
      const settings = await settingsOf(options);
      const tenants = await rewrapTenantKeys(context);
      const persons = await openPersons(settings, await openObjectStore(settings.store), context.keys);
      const secrets = await persons.rewrap();
      return {
        json: { rootKey: context.keys.rootKeyId, tenantKeys: tenants, personSecrets: secrets },
        text: `${bold('Wrapped')} ${count(tenants.rewrapped, 'tenant key')} of ${tenants.total} and ${count(secrets, 'secret')} of person keys with ${context.keys.rootKeyId}.`,
      };
    },
  );
};

function line({ keyId, use, days, daysLeft, due, action, rotatesEveryDays }: KeyState): string {
  const when = due
    ? yellow(`due. ${action}`)
    : rotatesEveryDays === undefined
      ? `to be changed in ${count(daysLeft, 'day')}`
      : `rotates by itself every ${count(rotatesEveryDays, 'day')}`;
  return `${bold(keyId)} (${use === 'wrap' ? 'root' : 'signs'}): ${count(days, 'day')} old, ${when}`;
}
