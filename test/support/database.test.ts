import { expect, test } from '@jest/globals';
import { createDatabase } from './database.ts';

test('tests run on a real PostgreSQL 18 with commit timestamps', async () => {
  const database = await createDatabase();
  const client = await database.client();
  const { rows } = await client.query(
    "select current_setting('server_version_num')::int / 10000 as major, current_setting('track_commit_timestamp') as track",
  );
  expect(rows).toEqual([{ major: 18, track: 'on' }]);
  await database.drop();
});
