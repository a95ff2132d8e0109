import { ConfigError } from '../../core/errors.ts';
import { exportBundle } from '../../core/history/seal/bundle.ts';
import { publicKeyFile } from '../../core/history/seal/publicKeys.ts';
import { resumeSeals } from '../../core/history/seal/resume.ts';
import { seal } from '../../core/history/seal/seal.ts';
import type { Fault } from '../../core/history/seal/types.ts';
import { verify } from '../../core/history/seal/verify.ts';
import { verifyBundle } from '../../core/history/seal/verifyBundle.ts';
import { handle, type Register } from '../command.ts';
import { stopOnSignal, stoppable } from '../interrupt.ts';
import { trustOf } from '../locations.ts';
import { bold, count, green, printable, red, yellow } from '../output.ts';
import { progressBar } from '../progressBar.ts';
import type { GlobalOptions, Report } from '../report.ts';
import { contextOf, databaseUrl } from '../runtime.ts';

export const auditCommand: Register = (program) => {
  const group = program
    .command('audit')
    .summary('seal the trail, and find out whether it was tampered with')
    .description('Seals the trail in a signed chain, and verifies it: in the database, or from a bundle without it.');

  const sealing = group
    .command('seal')
    .description('seals what the trail has gained; "holdfast maintain" does it too')
    .option('--resume <reason>', 'go on after the server was set back: signs that newer seals in the store were lost');
  handle<{ resume?: string }>(sealing, async (options) => {
    const context = { ...(await contextOf(options, 'database')), databaseUrl: databaseUrl(options) };
    const lost = options.resume === undefined ? undefined : await resumeSeals(context, options.resume);
    const report = await seal(context);
    const lines = [
      ...(lost ? [yellow(`Signed that seals ${lost.lostFrom} to ${lost.lostTo} were lost; a new log begins.`)] : []),
      `Sealed ${count(report.rows, 'change')} in ${count(report.segments, 'segment')}.`,
      ...(report.head ? [`Newest seal: ${report.head.number}:${report.head.sha256}`] : []),
    ];
    return { json: { ...report, ...(lost && { lost }) }, text: lines.join('\n') };
  });

  const verifying = group
    .command('verify')
    .description(
      'names every change that was edited, removed, inserted, reordered, cut off or blanked without authority',
    )
    .option('--bundle <folder>', 'verify what "audit export" wrote; needs no database')
    .option('--public-key <file>', 'trust these keys only, not the key file; needed with --bundle')
    .option('--head <number:digest>', 'a newest seal as it was noted down; it must still be there')
    .option('--no-store', 'do not compare with the store');
  handle<VerifyOptions>(verifying, (options) =>
    options.bundle === undefined ? verifyDatabase(options) : verifyFolder(options, options.bundle),
  );

  const exporting = group
    .command('export')
    .description(
      "writes one tenant's chain with its changes, for an auditor who has no database; holds personal values",
    )
    .option('-t, --tenant <id>', 'the tenant; without it, the changes that belong to none')
    .requiredOption('--out <folder>', 'a new folder');
  handle<{ tenant?: string; out: string }>(exporting, async ({ tenant, out, ...options }) => {
    const report = await exportBundle(databaseUrl(options), tenant ?? null, out);
    const text = `Wrote ${count(report.rows, 'change')} in ${count(report.segments, 'segment')} to ${out}, as of seal ${report.head}.`;
    return { json: { ...report, tenant: tenant ?? null, out }, text };
  });

  const publicKey = group.command('public-key').description('prints the public keys that an auditor verifies with');
  handle(publicKey, async (options) => {
    const { keys } = await contextOf(options, 'store');
    const text = await publicKeyFile(keys);
    return { json: { keys: await keys.publicKeys() }, text: text.trimEnd() };
  });
};

interface VerifyOptions {
  readonly bundle?: string;
  readonly publicKey?: string;
  readonly head?: string;
  readonly store: boolean;
}

async function verifyDatabase(options: VerifyOptions & GlobalOptions): Promise<Report> {
  stopOnSignal('Nothing was changed; verify again from the beginning.');
  const context = await contextOf(options, 'database');
  const report = await verify(
    {
      databaseUrl: databaseUrl(options),
      trust: options.publicKey === undefined ? context.keys : await trustOf(options.publicKey),
      ...(options.store && { store: context.store }),
      progress: context.progress,
    },
    options.head === undefined ? {} : { head: parseHead(options.head) },
  );
  const sound = [
    `${count(report.rows, 'change')} in ${count(report.segments, 'segment')} of ${count(report.chains, 'chain')}, ` +
      `${count(report.entries, 'seal')}, up to ${report.sealedAt ?? '-'}`,
    ...(report.redacted ? [`${count(report.redacted, 'change')} lawfully scrubbed`] : []),
    ...(report.pruned ? [`${count(report.pruned, 'change')} pruned under a signed note`] : []),
  ].join('; ');
  const notes = [
    ...report.notes.map((note) => yellow(`note: ${printable(note)}`)),
    ...(report.head ? [`Newest seal: ${report.head.number}:${report.head.sha256}`] : []),
  ];
  return verdict(report, sound, notes);
}

async function verifyFolder(options: VerifyOptions & GlobalOptions, folder: string): Promise<Report> {
  if (options.publicKey === undefined || options.head !== undefined) {
    throw new ConfigError('HF_ARGUMENT_INVALID', 'A bundle is verified with --public-key, and without --head.', {
      action: 'Pass --public-key with the file that "holdfast audit public-key" printed where the trail is sealed.',
    });
  }
  stopOnSignal('Nothing was changed; verify again from the beginning.');
  const progress = stoppable(progressBar(!options.json && !options.quiet));
  const report = await verifyBundle(folder, await trustOf(options.publicKey), progress);
  const of = report.tenant === null ? 'no tenant' : `tenant ${printable(report.tenant)}`;
  const sound =
    `${count(report.rows, 'change')} in ${count(report.segments, 'segment')} of ${of}, as of seal ${report.head?.number ?? '-'} ` +
    `(${report.head?.at ?? '-'})`;
  return verdict(report, sound, []);
}

function verdict(
  report: { readonly ok: boolean; readonly faults: readonly Fault[]; readonly faultCount: number },
  sound: string,
  notes: readonly string[],
): Report {
  const faults = report.faults.map(({ kind, message }) => `${red(bold(kind))} ${printable(message)}`);
  const more = report.faultCount - report.faults.length;
  const lines = [
    ...faults,
    ...(more > 0 ? [red(`and ${count(more, 'more fault')}`)] : []),
    report.ok
      ? `${green('Sound')}: ${sound}.`
      : `${red(bold('Tampered with'))}: ${count(report.faultCount, 'fault')}; read ${sound}.`,
    ...notes,
  ];
  return { json: report, text: lines.join('\n'), exitCode: report.ok ? 0 : 1 };
}

function parseHead(text: string): { number: number; sha256: string } {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (match) return { number: Number(match[1]), sha256: match[2]! };
  throw new ConfigError('HF_ARGUMENT_INVALID', `--head takes a number, a colon and a digest, not "${text}".`, {
    action: 'Pass it as "holdfast audit seal" prints it.',
    details: { option: '--head', got: text },
  });
}
