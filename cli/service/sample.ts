/** The sample application in the service's database, protected: what `npm start` shows to somebody who has nothing yet. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { bind } from '../../core/datamap/bind.ts';
import { formatNewFile } from '../../core/datamap/format.ts';
import { readSettings } from '../../core/datamap/load.ts';
import { install } from '../../core/history/install.ts';
import { connect } from '../../core/sql.ts';
import { createSample } from '../../sample/create.ts';
import { sampleMap } from '../../sample/map.ts';
import { located } from '../runtime.ts';

/** Each part is made only where it is missing, so a start that was cut short is gone on with. @returns whether anything was made */
export async function ensureSample(url: string, config: string): Promise<boolean> {
  let made = false;
  if (!existsSync(config)) {
    await writeFile(config, formatNewFile(sampleMap()));
    made = true;
  }
  const { keys } = located(await readSettings(config), config);
  if (!existsSync(keys)) {
    await KeyFile.create(keys);
    made = true;
  }
  const client = await connect(url);
  try {
    const { rows } = await client.query("select to_regclass('public.organizations') is not null as yes");
    if (!rows[0].yes) {
      await createSample(client, { tenants: 3, usersPerTenant: 12, entriesPerUser: 40, seed: 2026 });
      made = true;
    }
    await install(client, await bind(client, sampleMap()));
  } finally {
    await client.end();
  }
  return made;
}
