import { proveBackup } from '../../core/catalog/prove.ts';
import { syntheticFull } from '../../core/snapshot/synthetic.ts';
import { handle, type Register } from '../command.ts';
import { stopOnSignal } from '../interrupt.ts';
import { bold, bytes, count, duration, yellow } from '../output.ts';
import { proofLine } from '../proofLine.ts';
import { contextOf } from '../runtime.ts';
import { scratchMaker } from '../scratchServer.ts';

interface Options {
  tenant?: string;
  backup?: string;
  server?: string;
  prove: boolean;
}

export const syntheticCommand: Register = (program) => {
  const command = program
    .command('synthetic')
    .summary('a new full out of the last one and its log, without reading the database')
    .description(
      'Folds the last full backup and the logs after it into a new full, out of the store alone. The database is not read; where ' +
        'it answers, its catalog is told, and the restore test runs beside it.',
    )
    .option('-t, --tenant <id>', 'default: every tenant and the shared tables')
    .option('-p, --backup <id>', 'as at the end of this backup; default: the latest')
    .option('--server <url>', 'for schemas that do not fit into this process; default: one is started')
    .option('--no-prove', 'skip the restore test');
  handle<Options>(command, async (options) => {
    const context = await contextOf(options, 'store');
    stopOnSignal('No backup was made, and nothing is lost: run the same command again and it goes on where it was.');
    const { manifest, resumed, listed, seconds } = await syntheticFull(context, {
      tenant: options.tenant ?? null,
      ...(options.backup ? { backup: options.backup } : {}),
      scratch: scratchMaker(options.server),
    });
    stopOnSignal(
      `Backup ${manifest.id} is complete, but its restore test was cut short. "holdfast validate --deep" checks its bytes.`,
    );
    const proof = options.prove && listed ? await proveBackup(context, manifest) : undefined;
    const { totals, synthetic = [] } = manifest;
    const lines = [
      `${bold(manifest.id)}  (${duration(seconds * 1000)})`,
      `full of ${manifest.tenant === null ? 'the whole database' : `tenant ${manifest.tenant}`}, folded from ${count(synthetic.length, 'backup')}: ${count(totals.rows, 'row')}, ${bytes(totals.bytes)} stored`,
      ...(resumed ? [`${count(resumed, 'part')} of an interrupted run ${resumed === 1 ? 'was' : 'were'} kept.`] : []),
      `restores to any moment from ${manifest.horizon} on, with the logs after it`,
    ];
    if (!listed) {
      lines.push(yellow('note: no database answered: it is not proven. "holdfast catalog rebuild" lists it later.'));
    }
    if (proof) lines.push(proofLine(proof));
    return {
      json: {
        backup: manifest.id,
        tenant: manifest.tenant,
        synthetic,
        horizon: manifest.horizon,
        totals,
        resumed,
        listed,
        seconds,
        proof,
      },
      text: lines.join('\n'),
      exitCode: proof && !proof.ok ? 1 : 0,
    };
  });
};
