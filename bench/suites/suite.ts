/** A benchmark prints ratios against a peer or a floor that ran interleaved with it; it never passes or fails. */
export interface BenchOptions {
  readonly log: (line: string) => void;
  /** Scales the data: 1 is the size the goals were set at. */
  readonly scale: number;
  /** Interleaved rounds; the median of them is reported. */
  readonly rounds: number;
}

export interface Ratio {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** As printed, e.g. `<= 0.25`. */
  readonly goal: string;
}

export interface BenchResult {
  readonly ratios: Readonly<Record<string, Ratio>>;
  /** What was run, on what, and what limits a goal that was missed. */
  readonly facts: Readonly<Record<string, number | string>>;
}

export interface BenchSuite {
  readonly name: string;
  readonly description: string;
  run(options: BenchOptions): Promise<BenchResult>;
}

export function ratio(values: readonly number[], goal: string): Ratio {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1]!, min: sorted[0]!, max: sorted.at(-1)!, goal };
}
