import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import { readMap } from '../../core/datamap/load.ts';
import { tenantExists, unknownTenant } from '../../core/datamap/tenants.ts';
import { ConfigError } from '../../core/errors.ts';
import { beginMaintenance, endMaintenance, listMaintenance } from '../../core/restore/requests/maintenance.ts';
import { settleRequests } from '../../core/restore/requests/settle.ts';
import { handle, type Register } from '../command.ts';
import { seconds } from '../duration.ts';
import { bold, count, printable, table, yellow } from '../output.ts';
import { type ByOption, declareBy } from '../person.ts';
import type { GlobalOptions } from '../report.ts';
import { withDatabase } from '../runtime.ts';

export const maintenanceCommand: Register = (program) => {
  const group = program
    .command('maintenance')
    .summary("refuse the application's writes to one tenant for a while")
    .description(
      "Refuses the application's writes to one tenant's rows while it lasts (SQLSTATE HF003); other tenants notice nothing. " +
        'It ends by itself.',
    );

  const on = declareBy(
    group
      .command('on')
      .description('from now on')
      .requiredOption('-t, --tenant <id>', 'the tenant')
      .option('--for <time>', 'when it ends by itself', '1h')
      .option('--reason <text>', 'what the application is told', 'maintenance')
      .option('--wait <time>', 'how long to wait for transactions that are writing', '10s'),
  );
  handle<{ tenant: string; for: string; reason: string; wait: string } & ByOption>(on, async (options) => {
    const lasts = seconds(options.for, '--for');
    const wait = seconds(options.wait, '--wait') * 1000;
    const begun = await withDatabase(options, async (client) => {
      await requireTenant(client, options, options.tenant);
      const { tenant, by, reason } = options;
      return beginMaintenance(client, { tenant, by, reason, seconds: lasts, wait });
    });
    const open = begun.stillOpen;
    const lines = [
      `${bold('In maintenance')}: tenant ${printable(begun.tenant)}, until ${begun.until}.`,
      ...(open > 0
        ? [
            yellow(
              `note: ${count(open, 'transaction')} that had begun to write before ${open === 1 ? 'is' : 'are'} still open and may yet commit`,
            ),
          ]
        : []),
    ];
    return { json: begun, text: lines.join('\n') };
  });

  const off = declareBy(group.command('off').description('ends it').requiredOption('-t, --tenant <id>', 'the tenant'));
  handle<{ tenant: string } & ByOption>(off, async (options) => {
    const ended = await withDatabase(options, async (client) => {
      if (await endMaintenance(client, options.tenant, options.by)) return true;
      await requireTenant(client, options, options.tenant);
      return false;
    });
    const text = ended
      ? `Tenant ${printable(options.tenant)} can be written again.`
      : `Tenant ${printable(options.tenant)} was not in maintenance.`;
    return { json: { tenant: options.tenant, ended }, text };
  });

  const status = group
    .command('status')
    .description('which tenants are in maintenance')
    .option('-t, --tenant <id>', 'only this one');
  handle<{ tenant?: string }>(status, async (options) => {
    const list = await withDatabase(options, async (client) => {
      await settleRequests(client);
      if (options.tenant !== undefined) await requireTenant(client, options, options.tenant);
      return listMaintenance(client, options.tenant);
    });
    const rows = list.map((m) => [m.tenant, m.reason, m.startedBy, m.startedAt, m.until]);
    return {
      json: { maintenance: list },
      text: rows.length
        ? table(['tenant', 'reason', 'by', 'since', 'until'], rows)
        : options.tenant === undefined
          ? 'No tenant is in maintenance.'
          : `Tenant ${printable(options.tenant)} is not in maintenance.`,
    };
  });
};

async function requireTenant(client: pg.Client, options: GlobalOptions, tenant: string): Promise<void> {
  const bound = await bind(client, await readMap(options.config));
  if (!(await tenantExists(client, bound, tenant))) throw await unknownTenant(client, bound, tenant, ConfigError);
}
