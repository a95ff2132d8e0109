/** Server settings that history depends on. */
import type { Client } from '../sql.ts';
import type { Finding } from './finding.ts';

/** Versions that Holdfast is tested with, as `server_version_num` / 10000. */
const [OLDEST, NEWEST] = [14, 18];

export async function checkServer(client: Client): Promise<Finding[]> {
  const { rows } = await client.query<{ major: number; track: string }>(
    `select current_setting('server_version_num')::int / 10000 as major, current_setting('track_commit_timestamp') as track`,
  );
  const { major, track } = rows[0]!;
  const findings: Finding[] = [];
  if (major < OLDEST || major > NEWEST) {
    findings.push({
      code: 'HF_SERVER_VERSION',
      severity: major < OLDEST ? 'error' : 'warning',
      message: `This is PostgreSQL ${major}; Holdfast is tested with ${OLDEST} to ${NEWEST}.`,
      mend:
        major < OLDEST
          ? `Upgrade to PostgreSQL ${OLDEST} or later.`
          : 'Try a restore test (holdfast validate) before you rely on it.',
    });
  }
  if (track !== 'on') {
    findings.push({
      code: 'HF_COMMIT_TIMESTAMPS_OFF',
      severity: 'error',
      message:
        'track_commit_timestamp is off: the server does not keep when transactions committed, so only moments at which Holdfast looked can be restored exactly.',
      mend: [
        'alter system set track_commit_timestamp = on;   -- then restart the server',
        '-- on RDS and Aurora: set track_commit_timestamp = 1 in the (cluster) parameter group, then reboot',
      ].join('\n'),
    });
  }
  return findings;
}
