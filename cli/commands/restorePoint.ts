import { bind } from '../../core/datamap/bind.ts';
import { readMap } from '../../core/datamap/load.ts';
import { tenantExists, unknownTenant } from '../../core/datamap/tenants.ts';
import { ConfigError } from '../../core/errors.ts';
import { createRestorePoint, listRestorePoints } from '../../core/history/restorePoints.ts';
import { handle, type Register } from '../command.ts';
import { table } from '../output.ts';
import { withDatabase } from '../runtime.ts';

export const restorePointCommand: Register = (program) => {
  const group = program
    .command('restore-point')
    .summary('name a moment, exactly, to come back to')
    .description('Names moments, exactly, to come back to.');

  const create = group
    .command('create <name>')
    .description('names this very moment')
    .option('-t, --tenant <id>', 'only for this tenant; default: the whole database')
    .option('--reason <text>', 'why, for those who read it later');
  handle<{ tenant?: string; reason?: string }>(create, async (options, name) => {
    const request = {
      name: name!,
      tenant: options.tenant ?? null,
      ...(options.reason ? { reason: options.reason } : {}),
    };
    const point = await withDatabase(options, async (client) => {
      // A point of a tenant that is mistyped would be missed only when it is needed.
      if (options.tenant !== undefined) {
        const bound = await bind(client, await readMap(options.config));
        if (!(await tenantExists(client, bound, options.tenant))) {
          throw await unknownTenant(client, bound, options.tenant, ConfigError);
        }
      }
      return createRestorePoint(client, request);
    });
    return { json: point, text: `Restore point "${point.name}" is at ${point.moment}.` };
  });

  const list = group
    .command('list')
    .description('all of them, newest first')
    .option('-t, --tenant <id>', 'of this tenant and of the whole database');
  handle<{ tenant?: string }>(list, async (options) => {
    const points = await withDatabase(options, (client) => listRestorePoints(client, options.tenant));
    const rows = points.map((p) => [p.name, p.tenant ?? '(all)', p.moment, p.reason]);
    return {
      json: { restorePoints: points },
      text: rows.length ? table(['name', 'tenant', 'moment', 'reason'], rows) : 'No restore point yet.',
    };
  });
};
