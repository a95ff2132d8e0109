/** Progress with an ETA on a terminal; nothing at all in a pipe, under --json or --quiet. */
import { type Options, Presets, SingleBar } from 'cli-progress';
import { type Progress, silentProgress } from '../core/ports.ts';
import { bytes, duration } from './output.ts';

const OPTIONS: Options = {
  stream: process.stderr,
  hideCursor: true,
  clearOnComplete: true,
  format: '{label} {bar} {percentage}%  {done} of {all}  {left}',
};

export function progressBar(enabled: boolean): Progress {
  if (!enabled || !process.stderr.isTTY) return silentProgress;
  let bar: SingleBar | undefined;
  let at = 0;
  let of = 0;
  let began = 0;
  let show: (n: number) => string = String;
  /** From the mean speed so far: chunks differ, and an estimate that jumps is of no use. */
  const left = () => (at === 0 ? '' : `${duration(((performance.now() - began) / at) * (of - at), 0)} left`);
  return {
    start(label, total, unit) {
      bar?.stop();
      bar = new SingleBar(OPTIONS, Presets.shades_classic);
      at = 0;
      of = total;
      began = performance.now();
      show = unit === 'bytes' ? bytes : (n) => `${n.toLocaleString('en')} ${unit}`;
      bar.start(Math.max(total, 1), 0, { label: label.padEnd(24), done: show(0), all: show(total), left: left() });
    },
    advance(by) {
      at += by;
      // Estimates may fall short of the truth; a bar past 100 % helps nobody.
      if (at > of) {
        of = at;
        bar?.setTotal(of);
      }
      bar?.update(at, { done: show(at), all: show(of), left: left() });
    },
    done() {
      bar?.stop();
      bar = undefined;
    },
  };
}
