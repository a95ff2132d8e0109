import { listBackups } from '../../core/catalog/list.ts';
import { formatMoment, type Moment } from '../../core/moment.ts';
import { handle, type Register } from '../command.ts';
import { bytes, table } from '../output.ts';
import { withDatabase } from '../runtime.ts';

const iso = (moment: Moment | null) => (moment === null ? null : formatMoment(moment));
const short = (moment: Moment | null) => iso(moment)?.replace(/\.\d+Z$/, 'Z') ?? null;

export const listCommand: Register = (program) => {
  const command = program
    .command('list')
    .description('backups, how far each restores to, and when it was last proven to restore')
    .option('-t, --tenant <id>', 'those that can restore this tenant')
    .option('--all', 'running, failed and expired ones too', false)
    .option('--limit <n>', 'how many, newest first', '100');
  handle<{ tenant?: string; all: boolean; limit: string }>(command, async (options) => {
    const request = {
      all: options.all,
      limit: Number(options.limit),
      ...(options.tenant ? { tenant: options.tenant } : {}),
    };
    const backups = await withDatabase(options, (client) => listBackups(client, request));
    const rows = backups.map((b) => [
      b.id,
      b.tenant ?? '(all)',
      b.type,
      b.status,
      b.rows,
      b.changes,
      b.bytes === null ? null : bytes(b.bytes),
      short(b.horizon),
      short(b.provenAt) ?? 'never',
    ]);
    const json = backups.map((b) => ({
      ...b,
      startedAt: iso(b.startedAt),
      finishedAt: iso(b.finishedAt),
      horizon: iso(b.horizon),
      verifiedAt: iso(b.verifiedAt),
      provenAt: iso(b.provenAt),
    }));
    const head = ['backup', 'tenant', 'type', 'status', 'rows', 'changes', 'stored', 'restores to', 'proven'];
    return {
      json: { backups: json },
      text: rows.length ? table(head, rows) : 'No backup yet. Make one with holdfast backup.',
    };
  });
};
