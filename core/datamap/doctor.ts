/** Finds what is not protected, not classed, or not as `install` left it, and says how to mend each. */
import type { Client } from '../sql.ts';
import { bindCatalog, installed } from './bind.ts';
import { checkInstall } from './checkInstall.ts';
import { checkMap } from './checkMap.ts';
import { checkRows } from './checkRows.ts';
import { checkServer } from './checkServer.ts';
import type { Finding } from './finding.ts';
import { introspect } from './introspect.ts';
import type { DataMap } from './types.ts';

export type { Finding } from './finding.ts';

/** Checks a database against its data map. Reads only. Errors come before warnings; an empty list means that all is well. */
export async function doctor(client: Client, map: DataMap): Promise<Finding[]> {
  const catalog = await introspect(client);
  const known = await installed(client);
  const { bound, problems } = bindCatalog(catalog, map, known);
  const findings: Finding[] = [
    ...problems.map((problem): Finding => {
      const table = problem.details.table as string | undefined;
      return {
        code: problem.code,
        severity: 'error',
        ...(table === undefined ? {} : { table }),
        message: problem.message,
        mend: problem.action,
      };
    }),
    ...(await checkServer(client)),
    ...(await checkInstall(client, catalog, bound)),
    ...checkMap(catalog, map, bound, known),
    // A path that is broken has been reported; counting along it would fail.
    ...(problems.length === 0 ? await checkRows(client, catalog, bound) : []),
  ];
  return [...findings.filter((f) => f.severity === 'error'), ...findings.filter((f) => f.severity === 'warning')];
}
