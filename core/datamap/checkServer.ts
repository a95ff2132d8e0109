/** Server settings that history depends on. */
import type { Client } from '../sql.ts';
import type { Finding } from './finding.ts';

/** Versions that Holdfast is tested with, as `server_version_num` / 10000. */
const [OLDEST, NEWEST] = [14, 18];

export async function checkServer(client: Client): Promise<Finding[]> {
  const { rows } = await client.query<{ major: number; track: string; creates: boolean; role: string }>(
    `select current_setting('server_version_num')::int / 10000 as major, current_setting('track_commit_timestamp') as track,
            exists (select from pg_roles where rolname = current_user and (rolcreatedb or rolsuper)) as creates,
            quote_ident(current_user) as role`,
  );
  const { major, track, creates, role } = rows[0]!;
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
  if (!creates) {
    findings.push({
      code: 'HF_SCRATCH_DENIED',
      severity: 'warning',
      message:
        'This role may not create databases, so no backup can be proven: a restore test needs a scratch database.',
      mend: `alter role ${role} createdb;   -- as an administrator; without it, back up with --no-prove`,
    });
  }
  return findings;
}
