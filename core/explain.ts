/** Turns what drivers and the file system throw into errors with a code and a remedy. */
import { DatabaseError, HoldfastError, StoreError } from './errors.ts';

type Raw = Error & {
  code?: string;
  syscall?: string;
  path?: string;
  severity?: string;
  table?: string;
  schema?: string;
};

/** @returns undefined for what nobody foresaw: that is a defect, and its stack is worth more than a guess */
export function explain(error: unknown): HoldfastError | undefined {
  if (error instanceof HoldfastError) return error;
  if (!(error instanceof Error)) return undefined;
  const raw = error as Raw;
  if (isLost(raw)) {
    return new DatabaseError('HF_DATABASE_LOST', `The connection to PostgreSQL broke: ${oneLine(raw.message)}.`, {
      cause: error,
      action: 'What was not committed is rolled back. Run the command again when the server answers.',
      details: { code: raw.code },
    });
  }
  if (raw.severity !== undefined && raw.code !== undefined) return ofServer(raw, raw.code);
  if (raw.syscall !== undefined && raw.code !== undefined) return ofFile(raw, raw.code);
  return undefined;
}

/** Shut down, crashed, killed, cut off. */
function isLost({ code, message, severity }: Raw): boolean {
  if (severity !== undefined) return /^(57P0[1-5]|08...)$/.test(code ?? '');
  return (
    /^(ECONNRESET|EPIPE|ETIMEDOUT|ECONNREFUSED)$/.test(code ?? '') ||
    /^(Connection terminated|Client has encountered a connection error|Client was closed)/.test(message)
  );
}

function ofServer(raw: Raw, code: string): HoldfastError | undefined {
  const options = { cause: raw, details: { sqlstate: code } };
  if (code === '42501') {
    return new DatabaseError('HF_RIGHTS_MISSING', `PostgreSQL refused: ${oneLine(raw.message)}.`, {
      ...options,
      action: 'Connect as the owner of the protected tables; docs/protect.md lists the rights that each command needs.',
    });
  }
  if (code === '53100' || code === '53200') {
    return new DatabaseError('HF_DATABASE_FULL', `PostgreSQL has run out of room: ${oneLine(raw.message)}.`, {
      ...options,
      action: 'Free disk space or memory on the server, then run the command again; the transaction was rolled back.',
    });
  }
  if (code === '55P03' || code === '40P01') {
    return new DatabaseError('HF_LOCK_TIMEOUT', `Other sessions hold what this needs: ${oneLine(raw.message)}.`, {
      ...options,
      action: 'Run it again when they are done; pg_stat_activity shows who they are. Nothing was changed.',
    });
  }
  if ((code === '42P01' || code === '42883' || code === '3F000') && /holdfast/.test(raw.message)) {
    return new DatabaseError('HF_NOT_INSTALLED', 'Holdfast is not installed in this database.', {
      ...options,
      action: 'Check that this is the right database, then run holdfast install.',
    });
  }
  return undefined;
}

function ofFile(raw: Raw, code: string): HoldfastError {
  const at = raw.path ?? raw.syscall;
  const options = { cause: raw, details: { path: raw.path, reason: code } };
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new StoreError('HF_STORE_FULL', `There is no room left to write ${at} (${code}).`, {
      ...options,
      action: 'Free some space or raise the quota, then run the command again.',
    });
  }
  return new StoreError('HF_FILE_UNUSABLE', `${at} cannot be used: ${oneLine(raw.message)}.`, {
    ...options,
    action: 'Check that the path exists and that this user may read and write it.',
  });
}

const oneLine = (text: string): string => text.split('\n')[0]!.replace(/\.$/, '');
