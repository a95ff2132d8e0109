/**
 * A bucket that keeps versions, as S3 does: delete markers, conditional writes, times cut to whole seconds, listings in pages of
 * a few. Bodies are whole; uploads in parts are for the emulator.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Version {
  readonly id: string;
  /** undefined: a delete marker */
  readonly body?: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly modified: Date;
}

const PAGE = 3;

export class VersionedS3 {
  readonly #server: Server;
  /** Newest first. */
  readonly #keys = new Map<string, Version[]>();
  #count = 0;
  /** What the bucket takes for now. */
  now: () => Date = () => new Date();
  versioning: 'Enabled' | '' = 'Enabled';

  private constructor() {
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece) => pieces.push(piece));
      request.on('end', () => this.#answer(request, Buffer.concat(pieces), response));
    });
  }

  static async start(): Promise<VersionedS3> {
    const fake = new VersionedS3();
    await new Promise<void>((done) => fake.#server.listen(0, '127.0.0.1', done));
    return fake;
  }

  get location(): string {
    return `s3://bucket/app?endpoint=http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): Promise<unknown> {
    this.#server.closeAllConnections();
    return new Promise((done) => this.#server.close(done));
  }

  put(key: string, body: string | Buffer, headers: Record<string, string> = {}): void {
    this.#add(key, { body: Buffer.from(body), headers });
  }

  delete(key: string): void {
    this.#add(key, { headers: {} });
  }

  /** Removes versions for good, as a lifecycle rule does. */
  forget(key: string, keep: number): void {
    this.#keys.get(key)?.splice(keep);
  }

  get(key: string): Buffer | undefined {
    return this.#keys.get(key)?.[0]?.body;
  }

  versions(key: string): number {
    return this.#keys.get(key)?.length ?? 0;
  }

  #add(key: string, { body, headers }: { body?: Buffer; headers: Record<string, string> }): void {
    const version = { id: `v${++this.#count}`, headers, modified: this.now(), ...(body ? { body } : {}) };
    const older = this.versioning === 'Enabled' ? (this.#keys.get(key) ?? []) : [];
    this.#keys.set(key, [version, ...older]);
  }

  #answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const url = new URL(request.url!, 'http://localhost');
    const [, , ...parts] = url.pathname.split('/');
    const key = decodeURIComponent(parts.join('/'));
    const answer = (text: string) => response.writeHead(200, { 'content-type': 'application/xml' }).end(text);
    if (key === '' && url.searchParams.has('versioning')) {
      const status = this.versioning && `<Status>${this.versioning}</Status>`;
      answer(`<VersioningConfiguration>${status}</VersioningConfiguration>`);
    } else if (key === '' && url.searchParams.has('versions')) answer(this.#listVersions(url.searchParams));
    else if (key === '') answer(this.#list(url.searchParams));
    else if (request.method === 'PUT') this.#write(request, key, body, response);
    else this.#read(request, key, url.searchParams.get('versionId'), response);
  }

  #write({ headers }: IncomingMessage, key: string, body: Buffer, response: ServerResponse): void {
    const now = this.#keys.get(key)?.[0];
    const there = now?.body !== undefined;
    const matches = headers['if-match'] === undefined || (there && headers['if-match'] === etag(now.body!));
    if ((headers['if-none-match'] === '*' && there) || !matches) {
      refuse(response, 412, 'PreconditionFailed');
      return;
    }
    const kept = Object.entries(headers).filter(([name]) => name === 'content-type' || name.startsWith('x-amz-meta-'));
    this.#add(key, { body, headers: Object.fromEntries(kept) as Record<string, string> });
    response.writeHead(200, { etag: etag(body) }).end();
  }

  #read({ method }: IncomingMessage, key: string, id: string | null, response: ServerResponse): void {
    const versions = this.#keys.get(key) ?? [];
    const version = id === null ? versions[0] : versions.find((v) => v.id === id);
    if (!version?.body) {
      refuse(response, 404, 'NoSuchKey', method === 'HEAD');
      return;
    }
    response.writeHead(200, {
      ...version.headers,
      etag: etag(version.body),
      'last-modified': version.modified.toUTCString(),
      'content-length': version.body.length,
      'x-amz-version-id': version.id,
    });
    response.end(method === 'HEAD' ? undefined : version.body);
  }

  #list(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? '';
    const found = [...this.#keys]
      .filter(([key, [latest]]) => key.startsWith(prefix) && key > after && latest!.body !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const page = found.slice(0, PAGE).map(([key, [latest]]) => `<Contents>${facts(key, latest!)}</Contents>`);
    const more = found.length > PAGE;
    const next = more ? `<NextContinuationToken>${xml(found[PAGE - 1]![0])}</NextContinuationToken>` : '';
    return `<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${page.join('')}</ListBucketResult>`;
  }

  #listVersions(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? '';
    const all = [...this.#keys]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([key, versions]) => versions.map((version, i) => ({ key, version, latest: i === 0 })));
    const marker = query.get('key-marker');
    const last = all.findIndex(({ key, version }) => key === marker && version.id === query.get('version-id-marker'));
    const page = all.slice(marker === null ? 0 : last + 1, last + 1 + PAGE);
    const end = page.at(-1);
    const more = end !== undefined && all.at(-1) !== end;
    const next = more
      ? `<NextKeyMarker>${xml(end.key)}</NextKeyMarker><NextVersionIdMarker>${end.version.id}</NextVersionIdMarker>`
      : '';
    const items = page.map(({ key, version, latest }) => {
      const element = version.body ? 'Version' : 'DeleteMarker';
      const about = `<VersionId>${version.id}</VersionId><IsLatest>${latest}</IsLatest>`;
      return `<${element}>${facts(key, version)}${about}</${element}>`;
    });
    return `<ListVersionsResult><IsTruncated>${more}</IsTruncated>${next}${items.join('')}</ListVersionsResult>`;
  }
}

const etag = (body: Buffer): string => `"${createHash('md5').update(body).digest('hex')}"`;

const xml = (text: string): string => text.replace(/[&<>"\n\t]/g, (c) => `&#${c.charCodeAt(0)};`);

const facts = (key: string, { body, modified }: Version): string => {
  const seconds = new Date(Math.floor(modified.getTime() / 1000) * 1000).toISOString();
  const content = body ? `<Size>${body.length}</Size><ETag>${xml(etag(body))}</ETag>` : '';
  return `<Key>${xml(key)}</Key><LastModified>${seconds}</LastModified>${content}`;
};

function refuse(response: ServerResponse, status: number, code: string, head = false): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(head ? undefined : `<Error><Code>${code}</Code><Message>no</Message></Error>`);
}
