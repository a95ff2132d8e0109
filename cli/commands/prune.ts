import { ConfigError } from '../../core/errors.ts';
import { prune } from '../../core/history/prune.ts';
import { parseSnapshot } from '../../core/history/snapshots.ts';
import { formatMoment, type Moment, parseMoment } from '../../core/moment.ts';
import { handle, type Register } from '../command.ts';
import { bold, count, yellow } from '../output.ts';
import { contextOf, settingsOf, withDatabase } from '../runtime.ts';
import { listStore } from '../storeListing.ts';

interface Options {
  readonly before?: string;
  readonly preview: boolean;
}

export const pruneCommand: Register = (program) => {
  const command = program
    .command('prune')
    .summary('drop old months of history that backups hold')
    .description(
      'Drops months of history from the database. Each must have ended before the time given, and be in a whole-database ' +
        'backup entirely; moments before then are restored from the store.',
    )
    .option('--before <time>', 'default: retention.trail of holdfast.yaml before now')
    .option('--preview', 'only say what would go', false);
  handle<Options>(command, async (options) => {
    const { retention } = await settingsOf(options);
    const context = await contextOf(options, 'database');
    const before =
      options.before === undefined
        ? await withDatabase(options, (client) => ago(client, retention.trail))
        : parseMoment(options.before);
    const { manifests } = await listStore(context, { limit: Number.POSITIVE_INFINITY });
    const epoch = await withDatabase(options, readEpoch);
    // Snapshots compare only within one life of the database, and a backup without a table has not archived its changes.
    const latest = manifests.find((m) => m.tenant === null && m.excluded.length === 0 && m.epoch === epoch);
    if (!latest) {
      throw new ConfigError('HF_NOT_ARCHIVED', 'No whole-database backup holds the history of this database yet.', {
        action: 'Run holdfast backup first; history goes from the database only when the store has it.',
        details: { store: context.store.description },
      });
    }
    const archivedTo = parseSnapshot(latest.log.to);
    const report = await withDatabase(options, (client) =>
      prune(client, { before, archivedTo, archivedBy: latest.id, seals: context, preview: options.preview }),
    );
    const verb = options.preview ? 'Would drop' : 'Dropped';
    const lines = [
      `${bold(verb)} ${count(report.dropped.length, 'month')} of history that ended by ${formatMoment(before)}${
        report.dropped.length ? `: ${report.dropped.join(', ')}` : ''
      }.`,
      ...report.kept.map((name) =>
        yellow(`note: ${name} stays: it holds changes that are in no backup, or in no seal, yet`),
      ),
      ...(report.begins ? [`History in the database begins at ${report.begins}; before that, the store serves.`] : []),
    ];
    return {
      json: { ...report, before: formatMoment(before), archivedBy: latest.id, preview: options.preview },
      text: lines.join('\n'),
    };
  });
};

type Client = Parameters<Parameters<typeof withDatabase>[1]>[0];

/** Calendar months and days as PostgreSQL counts them. */
async function ago(client: Client, interval: string): Promise<Moment> {
  const { rows } = await client.query('select (now() - $1::interval)::text as at', [interval]);
  return parseMoment(rows[0].at);
}

async function readEpoch(client: Client): Promise<string> {
  const { rows } = await client.query('select epoch::text as epoch from holdfast.installation');
  return rows[0].epoch;
}
