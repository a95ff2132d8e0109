/** Tells a story on a terminal: chapters, steps with the time they took, tables. In a pipe it is plain lines of text. */
import { duration } from '../cli/output.ts';

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const WIDTH = 78;

export interface StepTime {
  readonly label: string;
  readonly milliseconds: number;
}

export class Stage {
  readonly #out: NodeJS.WriteStream;
  readonly #live: boolean;
  readonly #colour: boolean;
  readonly #times: StepTime[] = [];
  #chapters = 0;

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out;
    this.#live = out.isTTY === true;
    this.#colour = this.#live && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  }

  #paint(code: string, text: string): string {
    return this.#colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  title(text: string, below: string): void {
    this.#out.write(`\n${this.#paint('1', text)}\n${this.#paint('2', below)}\n`);
  }

  chapter(text: string): void {
    this.#chapters++;
    this.#out.write(`\n${this.#paint('1;36', `${this.#chapters}. ${text}`)}\n`);
  }

  /** A line of what is going on. */
  say(text: string): void {
    this.#out.write(`   ${this.#paint('2', text)}\n`);
  }

  /** Something bad that happens in the story. */
  alarm(text: string): void {
    this.#out.write(`   ${this.#paint('31', text)}\n`);
  }

  /** A statement that was checked. Throws when it does not hold: the demo must not end well then. */
  proof(text: string, holds: boolean): void {
    this.#out.write(`   ${holds ? this.#paint('32', '✔') : this.#paint('31', '✘')} ${text}\n`);
    if (!holds) throw new Error(`The demo found what it claims to be untrue: ${text}`);
  }

  /** Runs `work` under a spinner and prints what came of it with the time it took. */
  async step<T>(label: string, work: () => Promise<T>, outcome: (result: T) => string = () => ''): Promise<T> {
    const began = performance.now();
    let frame = 0;
    const spin = () =>
      this.#out.write(`\r   ${this.#paint('36', SPINNER[frame++ % SPINNER.length]!)} ${label}\u001b[K`);
    const timer = this.#live ? setInterval(spin, 80) : undefined;
    if (this.#live) spin();
    try {
      const result = await work();
      const milliseconds = performance.now() - began;
      this.#times.push({ label, milliseconds });
      const said = outcome(result);
      const time = duration(milliseconds);
      const text = said ? `${label}: ${said}` : label;
      const dots = '.'.repeat(Math.max(2, WIDTH - text.length - time.length));
      const line = `   ${this.#paint('32', '•')} ${text} ${this.#paint('2', dots)} ${time}\n`;
      this.#out.write(`${this.#live ? '\r\u001b[K' : ''}${line}`);
      return result;
    } finally {
      clearInterval(timer);
    }
  }

  /** Rows under a head; numbers to the right. */
  table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
    const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en') : cell)));
    const width = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
    const right = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'));
    const line = (row: readonly string[]) =>
      row
        .map((cell, i) => (right[i] ? cell.padStart(width[i]!) : cell.padEnd(width[i]!)))
        .join('   ')
        .trimEnd();
    this.#out.write(`     ${this.#paint('1', line(head))}\n`);
    for (const row of cells) this.#out.write(`     ${line(row)}\n`);
  }

  get times(): readonly StepTime[] {
    return this.#times;
  }
}
