import { KeyFile } from '../../adapters/local/keyFile.ts';
import { openPersonKeys } from '../../adapters/local/personKeyDirectory.ts';
import { rewrapTenantKeys, tenantKeys } from '../../core/keys/tenantKeys.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { handle, type Register } from '../command.ts';
import { bold, count, green, yellow } from '../output.ts';
import { contextOf, openObjectStore, settingsOf } from '../runtime.ts';

/** A root key should be changed this often. */
const ROTATION_DAYS = 90;

export const keysCommand: Register = (program) => {
  const keys = program
    .command('keys')
    .summary('age of the root key, rotation')
    .description('The root key of the key file.');

  handle(
    keys
      .command('status')
      .description('How old the root key is, and which tenant keys it wraps. Exit code 1 when a rotation is due.'),
    async (options) => {
      const context = await contextOf(options, 'store');
      const file = context.keys as KeyFile;
      const days = Math.floor((Date.now() - Date.parse(file.rotatedAt)) / 86_400_000);
      const due = days >= ROTATION_DAYS;
      await openStore(context);
      let [current, older] = [0, 0];
      for await (const key of tenantKeys(context)) key.current ? current++ : older++;
      const lines = [
        `${bold(file.rootKeyId)}: ${count(days, 'day')} old${due ? '' : `, to be rotated in ${count(ROTATION_DAYS - days, 'day')}`}`,
        `${count(current, 'tenant key')} wrapped by it, ${older} by an older one only`,
        due ? yellow('Due. Run holdfast keys rotate.') : green('All is well.'),
      ];
      return {
        json: { rootKey: file.rootKeyId, rotatedAt: file.rotatedAt, days, due, tenantKeys: { current, older } },
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
      const persons = await openPersonKeys(
        settings.personKeys,
        await openObjectStore(settings.store),
        context.keys,
      ).rewrap();
      return {
        json: { rootKey: context.keys.rootKeyId, tenantKeys: tenants, personSecrets: persons },
        text: `${bold('Wrapped')} ${count(tenants.rewrapped, 'tenant key')} of ${tenants.total} and ${count(persons, 'secret')} of person keys with ${context.keys.rootKeyId}.`,
      };
    },
  );
};
