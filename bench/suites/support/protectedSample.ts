import { bind } from '../../../core/datamap/bind.ts';
import type { BoundMap } from '../../../core/datamap/types.ts';
import { install } from '../../../core/history/install.ts';
import { connect } from '../../../core/sql.ts';
import { createSample } from '../../../sample/create.ts';
import { sampleMap } from '../../../sample/map.ts';
import type { BenchServer } from './peers.ts';

/** At scale 1 about 900 MB as COPY text: 500 tenants of 20 people. */
const sampleSize = (scale: number) => ({
  tenants: Math.max(2, Math.round(500 * scale)),
  usersPerTenant: 20,
  entriesPerUser: 50,
});

/** A new database with the sample in it, protected, vacuumed. */
export async function protectedSample(
  bench: BenchServer,
  name: string,
  scale: number,
): Promise<{ url: string; bound: BoundMap }> {
  const admin = await connect(bench.server.url());
  await admin.query(`create database ${name}`);
  await admin.end();
  const url = bench.server.url(name);
  const client = await connect(url);
  await createSample(client, sampleSize(scale));
  await install(client, await bind(client, sampleMap()));
  const bound = await bind(client, sampleMap());
  await client.query('vacuum analyze');
  await client.end();
  return { url, bound };
}
