/** Ctrl-C: the work is stopped at its next step, so that it tidies up after itself; a second Ctrl-C ends it at once. */
import type { Progress } from '../core/ports.ts';

/** How long the work may take to reach its next step. */
const GRACE_MS = 10_000;
/** A terminal signals the whole group and a wrapper passes its own on: two within this are one. */
const ONE_PRESS_MS = 500;

/** Not an error of the domain: no step may take it for a fault that it found, and go on. */
class Interrupted extends Error {
  readonly code = 'HF_INTERRUPTED';
  readonly action: string;
  readonly details = {};

  constructor(action: string) {
    super('Stopped on request.');
    this.action = action;
  }

  toJSON(): Record<string, unknown> {
    return { code: this.code, message: this.message, action: this.action, details: this.details };
  }
}

let consequence: string | undefined;
let request: { readonly error: Interrupted; readonly at: number } | undefined;

/** The error to report when the user asked to stop. */
export const interrupted = (): Interrupted | undefined => request?.error;

/**
 * From here on the user may stop the work. Called again, it changes what they are told.
 * @param text what they can rely on, and what to do next
 */
export function stopOnSignal(text: string): void {
  if (consequence === undefined) for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal);
  consequence = text;
}

function onSignal(): void {
  if (request) {
    if (performance.now() - request.at > ONE_PRESS_MS) leave();
    return;
  }
  request = { error: new Interrupted(consequence!), at: performance.now() };
  if (process.stderr.isTTY) console.error('\nStopping; once more to stop at once.');
  const { code, message, action } = request.error;
  // Long statements of the server report no progress. Leaving is safe: what is not committed is rolled back.
  setTimeout(() => {
    console.error(`${code} ${message}\nwhat to do: ${action}`);
    leave();
  }, GRACE_MS).unref();
}

function leave(): never {
  // A progress bar hides the cursor and turns wrapping off.
  if (process.stderr.isTTY) process.stderr.write('\u001b[?25h\u001b[?7h');
  process.exit(130);
}

/** Progress that ends the work, by throwing, once the user has asked to stop. */
export function stoppable(progress: Progress): Progress {
  const check = () => {
    if (!request) return;
    progress.done();
    throw request.error;
  };
  return {
    start(label, total, unit) {
      check();
      progress.start(label, total, unit);
    },
    advance(by) {
      check();
      progress.advance(by);
    },
    done: () => progress.done(),
  };
}
