/**
 * Which backups a restore reads: the newest base that is consistent by the target, and logs from there to it without a gap.
 * Pure, over manifests.
 */
import { RestoreError } from '../errors.ts';
import { isAtOrAfter, parseSnapshot } from '../history/snapshots.ts';
import { formatMoment, type Moment, parseMoment } from '../moment.ts';
import type { Manifest } from '../snapshot/types.ts';

export interface ChainTarget {
  /** null: the whole database. */
  readonly tenant: string | null;
  /** @default the latest that can be reached */
  readonly moment?: Moment;
}

export interface Chain {
  readonly base: Manifest;
  /** In order; the base's own log comes first. Together they hold every change from before the base's chunks to `moment`. */
  readonly logs: readonly Manifest[];
  readonly moment: Moment;
  /** Protected tables that one of these backups left out on request; the restore cannot bring them. */
  readonly excluded: readonly string[];
}

/** @throws RestoreError HF_NO_BACKUP; HF_TIME_UNREACHABLE with `details.nearest` and why */
export function planChain(manifests: readonly Manifest[], target: ChainTarget): Chain {
  const usable = manifests.filter((m) => m.tenant === null || m.tenant === target.tenant);
  const bases = usable.filter((m) => m.consistentFrom !== undefined && m.type === 'full').sort(newestFirst);
  if (bases.length === 0) throw noBackup(target);
  const reaches = (s: Span) =>
    target.moment === undefined || (start(s.base) <= target.moment && s.end >= target.moment);
  const whole = bases.map((base) =>
    follow(
      base,
      usable.filter((m) => leavesOutNoMore(m, base)),
      target.moment,
    ),
  );
  // Logs that left tables out, and then bases that did, are a last resort.
  const partial = () => bases.map((base) => follow(base, usable, target.moment)).find(reaches);
  const reaching = whole.filter(reaches);
  const best = reaching.find((s) => s.base.excluded.length === 0) ?? reaching[0] ?? partial();
  if (!best) throw unreachable(target.moment!, whole);
  return {
    base: best.base,
    logs: best.logs,
    moment: target.moment ?? best.end,
    excluded: [...new Set(best.logs.flatMap((m) => m.excluded))].sort(),
  };
}

const start = (base: Manifest): Moment => parseMoment(base.consistentFrom!);
const newestFirst = (a: Manifest, b: Manifest): number => (a.consistentFrom! < b.consistentFrom! ? 1 : -1);

interface Span {
  readonly base: Manifest;
  readonly logs: readonly Manifest[];
  readonly end: Moment;
}

const leavesOutNoMore = (log: Manifest, base: Manifest): boolean =>
  log.excluded.every((table) => base.excluded.includes(table));

/**
 * Takes, from the base on, the log that begins where the one before ended (or earlier: replay does not mind) and reaches
 * furthest, until the target is covered.
 */
function follow(base: Manifest, usable: readonly Manifest[], target?: Moment): Span {
  const logs = [base];
  const same = usable.filter((m) => m.epoch === base.epoch && m !== base);
  for (;;) {
    const last = logs.at(-1)!;
    const end = parseMoment(last.log.toMoment);
    if (target !== undefined && end >= target) return { base, logs, end };
    const at = parseSnapshot(last.log.to);
    const next = same
      .filter((m) => isAtOrAfter(at, parseSnapshot(m.log.from)) && parseMoment(m.log.toMoment) > end)
      .sort((a, b) => (a.log.toMoment < b.log.toMoment ? 1 : -1))[0];
    if (!next) return { base, logs, end };
    logs.push(next);
  }
}

function noBackup(target: ChainTarget): RestoreError {
  const what = target.tenant === null ? 'the whole database' : `tenant ${target.tenant}`;
  return new RestoreError('HF_NO_BACKUP', `The store holds no full backup of ${what}.`, {
    action: 'Take one with "holdfast backup --type full", or point to the store that has one.',
    details: { tenant: target.tenant },
  });
}

function unreachable(moment: Moment, spans: readonly Span[]): RestoreError {
  const before = spans.map((s) => formatMoment(s.end)).filter((end) => end < formatMoment(moment));
  const after = spans.map((s) => s.base.consistentFrom!).filter((from) => from > formatMoment(moment));
  const nearest = { before: before.sort().at(-1) ?? null, after: after.sort()[0] ?? null };
  const why =
    before.length === 0
      ? 'the first backup was taken after it'
      : after.length === 0
        ? 'the last log in the store ends before it'
        : 'there is a gap between the logs around it';
  const choices = [nearest.before, nearest.after].filter(Boolean).join(' or ');
  return new RestoreError('HF_TIME_UNREACHABLE', `The store does not reach ${formatMoment(moment)}: ${why}.`, {
    action: `Restore to ${choices}, or take a log backup first if the database is still there.`,
    details: { target: formatMoment(moment), nearest },
  });
}
