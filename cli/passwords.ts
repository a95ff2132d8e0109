/** A password in an argument can be read by every user of the machine, in the list of processes. */
import { stderrYellow } from './output.ts';

const ADVICE =
  'warning: a password on the command line shows in the list of processes. Keep it in HOLDFAST_DATABASE_URL, PGPASSWORD or ~/.pgpass.';

/** Warns on standard error, so that `--json` stays one object. */
export function warnOfPasswords(args: readonly string[]): void {
  if (args.some(hasPassword)) console.error(stderrYellow(ADVICE));
}

const hasPassword = (arg: string): boolean =>
  /postgres(ql)?:\/\/[^/?#@]*:[^/?#@]+@/.test(arg) || /postgres(ql)?:\/\/[^#]*[?&]password=[^&]/.test(arg);
