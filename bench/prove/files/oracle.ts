/** What there was at each moment, kept beside the real thing and sharing nothing with it. */
export interface Row {
  readonly tenant: string;
  readonly person: string | null;
}

interface Moment {
  readonly at: bigint;
  readonly files: ReadonlyMap<string, string>;
}

interface Run {
  readonly scope: string | null;
  readonly finished: bigint;
  /** Files that it saw: path to owner and content. */
  readonly seen: ReadonlyMap<string, Row & { readonly content: string }>;
  /** Every file with a row in its scope, seen or not. */
  readonly rows: ReadonlyMap<string, Row>;
}

export interface Answer {
  readonly path: string;
  readonly certain: boolean;
  readonly content: string;
}

export class Oracle {
  readonly files = new Map<string, string>();
  readonly rows = new Map<string, Row>();
  readonly erased = new Set<string>();
  readonly #moments: Moment[] = [];
  readonly #runs: Run[] = [];

  /** After each step. */
  remember(at: bigint): void {
    this.#moments.push({ at, files: new Map(this.files) });
  }

  ran(scope: string | null, finished: bigint): void {
    const rows = new Map([...this.rows].filter(([, row]) => scope === null || row.tenant === scope));
    const seen = new Map(
      [...rows].flatMap(([path, row]) => {
        const content = this.files.get(path);
        return content === undefined || this.#gone(row) ? [] : [[path, { ...row, content }] as const];
      }),
    );
    this.#runs.push({ scope, finished, seen, rows });
  }

  get moments(): readonly bigint[] {
    return this.#moments.map(({ at }) => at);
  }

  /** What is wrong with an answer for a tenant at a moment. `versions`: the source keeps them, and its clock is exact. */
  complaints(tenant: string, at: bigint, answer: readonly Answer[], versions: boolean): string[] {
    const truth = this.#moments.findLast((m) => m.at <= at)?.files ?? new Map<string, string>();
    const own = this.#runs.filter(({ scope }) => scope === null || scope === tenant);
    const before = own.findLast(({ finished }) => finished <= at);
    const after = own.find(({ finished }) => finished > at);
    const got = new Map(answer.map((one) => [one.path, one]));
    const found: string[] = [];
    const of = (run: Run | undefined) =>
      [...(run?.seen ?? [])].filter(([, row]) => row.tenant === tenant && !this.#gone(row));
    const seen = new Map(of(before).map(([path, { content }]) => [path, content]));
    for (const { path, certain, content } of answer) {
      if (!path.startsWith(`${tenant}/`)) found.push(`${path} is of another tenant`);
      const expected = certain ? truth.get(path) : seen.get(path);
      if (content !== expected) {
        found.push(`${path} (${certain ? 'certain' : 'last seen'}) is ${show(content)} and not ${show(expected)}`);
      }
    }
    if (versions) {
      const live = [...this.rows].filter(([, row]) => row.tenant === tenant && !this.#gone(row));
      const known = new Set([...of(before), ...of(after), ...live].map(([path]) => path));
      for (const path of known) {
        const content = got.get(path)?.content;
        if (content !== truth.get(path)) found.push(`${path} is ${show(content)} and not ${show(truth.get(path))}`);
      }
    } else {
      for (const path of seen.keys()) if (!got.has(path)) found.push(`${path} is not there; a run had seen it`);
    }
    return found;
  }

  #gone({ person }: Row): boolean {
    return person !== null && this.erased.has(person);
  }
}

const show = (content: string | undefined): string =>
  content === undefined ? 'nothing' : JSON.stringify(content.slice(0, 30));
