/** What `restores request` is asked for: a whole tenant to a moment, an undo, or a copy from another tenant. */
import { ConfigError } from '../core/errors.ts';
import { formatMoment, parseMoment } from '../core/moment.ts';
import type { RequestedRestore, RestoreTo, UndoArguments } from '../core/restore/requests/types.ts';
import { nameList } from './nameList.ts';

export interface RequestOptions {
  readonly tenant: string;
  readonly targetTime?: string;
  readonly point?: string;
  readonly backup?: string;
  readonly session?: string;
  readonly user?: string;
  readonly transaction?: string;
  readonly table?: string;
  readonly record?: readonly string[];
  readonly columns?: string;
  readonly policy?: string;
  readonly includeOffered: boolean;
  readonly from?: string;
  readonly tables?: string;
  readonly except?: string;
  readonly textKeyPrefix?: string;
  readonly asSystemAdministrator: boolean;
}

/** @throws ConfigError HF_TARGET_MISSING, HF_TARGET_AMBIGUOUS, HF_ARGUMENT_INVALID, HF_TIME_INVALID */
export function requestedRestore(options: RequestOptions): RequestedRestore {
  const { tenant, from } = options;
  const to = targetOf(options);
  if (from !== undefined) {
    return {
      kind: 'transfer',
      request: {
        from,
        into: tenant,
        asSystemAdministrator: options.asSystemAdministrator,
        ...(to ? { to } : {}),
        ...(options.tables === undefined ? {} : { tables: nameList(options.tables) }),
        ...(options.except === undefined ? {} : { except: nameList(options.except) }),
        ...(options.textKeyPrefix === undefined ? {} : { textKeyPrefix: options.textKeyPrefix }),
      },
    };
  }
  const scope = scopeOf(options, to);
  if (scope) {
    return {
      kind: 'undo',
      request: {
        tenant,
        scope,
        ...(options.policy === undefined ? {} : { policy: policyOf(options.policy) }),
        ...(options.includeOffered ? { include: 'offered' as const } : {}),
      },
    };
  }
  return { kind: 'tenant', request: { tenant, to: to ?? missing() } };
}

export function policyOf(text: string): 'refuse' | 'skip' | 'force' {
  if (text === 'refuse' || text === 'skip' || text === 'force') return text;
  throw new ConfigError('HF_ARGUMENT_INVALID', `--policy is refuse, skip or force, not "${text}".`, {
    action: 'refuse: nothing is done while later edits are in the way. skip: they stay. force: they are taken back.',
    details: { option: '--policy', got: text },
  });
}

function scopeOf(options: RequestOptions, to: RestoreTo | undefined): UndoArguments['scope'] | undefined {
  const { session, user, transaction, table, record, columns } = options;
  const limited = options.tables === undefined ? {} : { tables: nameList(options.tables) };
  if ([session, user, transaction, table].filter((o) => o !== undefined).length > 1) {
    throw ambiguous('--session, --user, --transaction and --table');
  }
  if (session !== undefined) return { kind: 'session', session, ...limited };
  if (transaction !== undefined) return { kind: 'transactions', transactions: nameList(transaction), ...limited };
  if (user !== undefined) return { kind: 'user', user, since: past(to), ...limited };
  if (table === undefined) return undefined;
  if (!record) return { kind: 'table', table, to: past(to) };
  return {
    kind: 'records',
    table,
    records: record.map(keyOf),
    to: past(to),
    ...(columns === undefined ? {} : { columns: nameList(columns) }),
  };
}

/** A key of several columns is written as plans write it: `["7", "x"]`. */
export function keyOf(text: string): string[] {
  if (!text.startsWith('["')) return [text];
  try {
    return (JSON.parse(text) as unknown[]).map(String);
  } catch {
    return [text]; // a text key that happens to begin so
  }
}

function targetOf({ targetTime, point, backup }: RequestOptions): RestoreTo | undefined {
  if ([targetTime, point, backup].filter((o) => o !== undefined).length > 1) {
    throw ambiguous('--target-time, --point and --backup');
  }
  // As it is frozen: to the microsecond, in UTC.
  if (targetTime !== undefined) return { time: formatMoment(parseMoment(targetTime)) };
  if (point !== undefined) return { point };
  return backup === undefined ? undefined : { backup };
}

function past(to: RestoreTo | undefined): { time: string } | { point: string } {
  if (to && !('backup' in to)) return to;
  return missing();
}

function missing(): never {
  throw new ConfigError('HF_TARGET_MISSING', 'Say where to go back to.', {
    action:
      'Pass --target-time 2026-03-01T14:05:00Z or --point <restore point>; a whole tenant also takes --backup <id>.',
  });
}

const ambiguous = (options: string) =>
  new ConfigError('HF_TARGET_AMBIGUOUS', `Only one of ${options} can be given.`, { action: 'Give one.' });
