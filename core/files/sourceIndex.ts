/** Everything that a source lists, and who has claimed it. About 300 bytes of memory per file. */
import type { FileSource, SourceFile } from './source.ts';

interface Indexed {
  readonly file: SourceFile;
  /** The first tenant whose row names it. */
  tenant: string | undefined;
}

export class SourceIndex {
  readonly #files: Map<string, Indexed>;

  private constructor(files: Map<string, Indexed>) {
    this.#files = files;
  }

  static async read(source: FileSource): Promise<SourceIndex> {
    const files = new Map<string, Indexed>();
    for await (const file of source.list()) files.set(file.path, { file, tenant: undefined });
    return new SourceIndex(files);
  }

  get size(): number {
    return this.#files.size;
  }

  /**
   * The file that a row of a tenant names. `other`: the tenant that claimed it before.
   * @returns undefined for a file that the listing lacks, which may have come since
   */
  claim(path: string, tenant: string): { file: SourceFile; other?: string } | undefined {
    const found = this.#files.get(path);
    if (!found) return undefined;
    const other = found.tenant;
    found.tenant ??= tenant;
    return { file: found.file, ...(other === undefined || other === tenant ? {} : { other }) };
  }

  *unclaimed(): Generator<SourceFile> {
    for (const { file, tenant } of this.#files.values()) if (tenant === undefined) yield file;
  }
}
