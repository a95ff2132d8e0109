/** What a proof suite is: the real thing, run against an oracle that shares no code with it, on seeded random cases. */
export interface ProveOptions {
  /** How many cases to try. */
  readonly cases: number;
  /** Case n is a function of (seed, n), so one failure is reproduced by `--seed S --cases n`. */
  readonly seed: number;
  /** A running server on which the suite may create and drop databases. */
  readonly serverUrl: string;
  /** Progress for a person; silent under --json. */
  readonly log: (line: string) => void;
}

export interface ProveFailure {
  readonly seed: number;
  readonly case: number;
  readonly message: string;
}

export interface ProveResult {
  readonly cases: number;
  readonly failures: readonly ProveFailure[];
  /** Figures worth printing beside the verdict, such as what the controls missed. */
  readonly facts?: Readonly<Record<string, number | string>>;
}

export interface Suite {
  readonly name: string;
  readonly description: string;
  /** Cases of the quick form, under a minute. */
  readonly quickCases: number;
  run(options: ProveOptions): Promise<ProveResult>;
}

/** A small seeded generator (mulberry32): the same seed gives the same cases on every machine. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** An integer in [0, below). */
  int(below: number): number {
    return Math.floor(this.next() * below);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)]!;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }
}
