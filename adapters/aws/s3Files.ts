/** Users' files in S3, or in anything that speaks its protocol; on a versioned bucket, with every version that is still there. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  type S3ClientConfig,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { HoldfastError, StoreError } from '../../core/errors.ts';
import {
  type FileAbout,
  type FileSource,
  KEPT,
  keptPath,
  type OpenFile,
  type SourceFile,
  type SourceVersion,
} from '../../core/files/source.ts';
import { changed, gone, unreadable } from '../../core/files/take.ts';
import { momentFromDate } from '../../core/moment.ts';
import { s3Location } from './s3Location.ts';
import { s3Versions } from './s3Versions.ts';

const PART_BYTES = 8 << 20;
const PARTS_IN_FLIGHT = 2;
/** S3 cuts its times to whole seconds. */
const SECOND = 1_000_000n;

/** Headers that belong to an object, as the SDK names them. Tags and access lists are not read. */
const HEADERS = ['ContentType', 'ContentEncoding', 'ContentDisposition', 'ContentLanguage', 'CacheControl'] as const;

export class S3Files implements FileSource {
  readonly description: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  #versioned: Promise<boolean> | undefined;

  private constructor(client: S3Client, bucket: string, prefix: string) {
    this.#client = client;
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.description = `s3://${bucket}/${prefix}`;
  }

  /** Locations as of a store. @throws ConfigError HF_STORE_URL */
  static open(location: string, config: S3ClientConfig = {}): S3Files {
    const { client, bucket, prefix } = s3Location(location, config);
    return new S3Files(client, bucket, prefix);
  }

  /** S3 takes nearly any key. Some proxies and clients resolve dots in one, and then write to another. */
  problem(path: string): string | undefined {
    if (path === '') return 'it is empty';
    if (path.includes('\0')) return 'it has a NUL';
    if (path.split('/').some((part) => part === '.' || part === '..')) return 'it has a part that is "." or ".."';
    if (Buffer.byteLength(this.#prefix + path) > 1024) return 'it is longer than 1,024 bytes';
    return path.startsWith(KEPT) ? `${KEPT} is where restores keep what they replace` : undefined;
  }

  async *list(): AsyncGenerator<SourceFile> {
    const input = { Bucket: this.#bucket, Prefix: this.#prefix };
    try {
      for await (const { Contents = [] } of paginateListObjectsV2({ client: this.#client }, input)) {
        for (const { Key, Size = 0, ETag, LastModified } of Contents) {
          const path = Key!.slice(this.#prefix.length);
          // Consoles make empty objects that stand for folders.
          if (path === '' || path.startsWith(KEPT) || (path.endsWith('/') && Size === 0)) continue;
          yield describe(path, Size, ETag!, LastModified!);
        }
      }
    } catch (error) {
      throw this.#unusable(error);
    }
  }

  async stat(path: string): Promise<SourceFile | undefined> {
    if (this.problem(path) !== undefined) return undefined;
    try {
      const found = await this.#client.send(new HeadObjectCommand(this.#at(path)));
      return describe(path, found.ContentLength ?? 0, found.ETag!, found.LastModified!);
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw this.#translate(error, path);
    }
  }

  async read(path: string, options: { token?: string; version?: string } = {}): Promise<OpenFile> {
    try {
      const found = await this.#client.send(
        new GetObjectCommand({
          ...this.#at(path),
          ...(options.version === undefined ? {} : { VersionId: options.version }),
        }),
      );
      const file = describe(path, found.ContentLength ?? 0, found.ETag!, found.LastModified!);
      if (options.token !== undefined && options.token !== file.token) {
        (found.Body as Readable).destroy();
        throw changed(path, this);
      }
      const about: Record<string, string> = {};
      for (const header of HEADERS) if (found[header]) about[header] = found[header];
      for (const [name, value] of Object.entries(found.Metadata ?? {})) about[`x-amz-meta-${name}`] = value;
      return { file, about, body: this.#body(found.Body as Readable, file) };
    } catch (error) {
      throw this.#translate(error, path);
    }
  }

  async write(
    path: string,
    body: AsyncIterable<Uint8Array>,
    { about, over, stamp }: Parameters<FileSource['write']>[2],
  ): Promise<{ kept?: string }> {
    const problem = this.problem(path);
    if (problem) throw unreadable(path, this, new Error(problem));
    // Services that do not know conditional writes would replace whatever is there; this leaves them an instant.
    const now = await this.stat(path);
    if (now?.token !== over?.token) throw this.#conflict(path);
    const kept = over && !(await this.#isVersioned()) ? await this.#keep(over, stamp) : undefined;
    const condition = over ? { IfMatch: etagOf(over) } : { IfNoneMatch: '*' };
    await this.#upload(path, body, about, condition);
    return kept === undefined ? {} : { kept };
  }

  async history(prefix: string): Promise<AsyncIterable<{ path: string; versions: SourceVersion[] }> | undefined> {
    if (!(await this.#isVersioned())) return undefined;
    return this.#histories(prefix);
  }

  /** Closes idle connections. */
  close(): void {
    this.#client.destroy();
  }

  async *#histories(prefix: string): AsyncGenerator<{ path: string; versions: SourceVersion[] }> {
    try {
      for await (const { key, versions } of s3Versions(this.#client, this.#bucket, this.#prefix + prefix)) {
        const path = key.slice(this.#prefix.length);
        if (!path.startsWith(KEPT)) yield { path, versions };
      }
    } catch (error) {
      throw this.#unusable(error);
    }
  }

  /** Also while versioning is suspended: what it made is still there. */
  #isVersioned(): Promise<boolean> {
    this.#versioned ??= this.#client.send(new GetBucketVersioningCommand({ Bucket: this.#bucket })).then(
      ({ Status }) => Status === 'Enabled',
      (error) => {
        this.#versioned = undefined;
        throw this.#unusable(error);
      },
    );
    return this.#versioned;
  }

  /** Copies what is to be replaced; a copy by the service would end at 5 GiB. */
  async #keep(file: SourceFile, stamp: string): Promise<string> {
    const kept = keptPath(file.path, stamp, (text) => createHash('sha256').update(text).digest('hex'));
    const { body, about } = await this.read(file.path, { token: file.token });
    await this.#upload(kept, body, about, { IfNoneMatch: '*' });
    return kept;
  }

  async #upload(
    path: string,
    body: AsyncIterable<Uint8Array>,
    about: FileAbout,
    condition: { IfMatch: string } | { IfNoneMatch: string },
  ): Promise<void> {
    const metadata = Object.entries(about).flatMap(([name, value]) =>
      name.startsWith('x-amz-meta-') ? [[name.slice('x-amz-meta-'.length), value]] : [],
    );
    const headers = Object.fromEntries(HEADERS.flatMap((name) => (about[name] ? [[name, about[name]]] : [])));
    const upload = new Upload({
      client: this.#client,
      params: {
        ...this.#at(path),
        ...headers,
        Metadata: Object.fromEntries(metadata),
        Body: Readable.from(body, { objectMode: false }),
        ...condition,
      },
      partSize: PART_BYTES,
      queueSize: PARTS_IN_FLIGHT,
      leavePartsOnError: false,
    });
    try {
      await upload.done();
    } catch (error) {
      throw this.#translate(error, path);
    }
  }

  async *#body(stream: Readable, file: SourceFile): AsyncGenerator<Uint8Array> {
    let size = 0;
    try {
      for await (const piece of stream as AsyncIterable<Uint8Array>) {
        size += piece.length;
        yield piece;
      }
    } catch (error) {
      throw this.#translate(error, file.path);
    }
    if (size !== file.size) throw changed(file.path, this);
  }

  #at(path: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + path };
  }

  /** What is wrong with one file. An error that a body threw while it was sent passes unchanged. */
  #translate(error: unknown, path: string): unknown {
    const status = statusOf(error);
    if (error instanceof HoldfastError) return error;
    if (!isOfService(error)) return (error as NodeJS.ErrnoException).syscall ? unreadable(path, this, error) : error;
    if ((error as Error).name === 'NoSuchBucket' || status === 401) return this.#unusable(error);
    if (status === 404) return gone(path, this, error);
    if (status === 412 || status === 409) return this.#conflict(path, error);
    if (status === undefined || status >= 500) return this.#unusable(error);
    return unreadable(path, this, error);
  }

  #conflict(path: string, cause?: unknown): StoreError {
    return new StoreError('HF_FILE_CONFLICT', `${JSON.stringify(path)} in ${this.description} is not what it was.`, {
      cause,
      action: 'Somebody wrote to it meanwhile: look at the preview again.',
      details: { path },
    });
  }

  #unusable(cause: unknown): unknown {
    if (cause instanceof HoldfastError) return cause;
    const { name, message } = cause as Error;
    return new StoreError('HF_FILES_SOURCE', `${this.description} cannot be used: ${message || name}.`, {
      cause,
      action: 'Check "from:" under files: in holdfast.yaml, the credentials and what they allow, and the network.',
      details: { reason: name, status: statusOf(cause) },
    });
  }
}

/** The entity tag of several parts says that the time is that of the upload's beginning, not of its end. */
const isMultipart = (etag: string): boolean => /-\d+"?$/.test(etag);

function describe(path: string, size: number, etag: string, modified: Date): SourceFile {
  const seconds = Math.floor(modified.getTime() / 1000);
  const since = momentFromDate(new Date(seconds * 1000)) + SECOND;
  const token = `${etag}-${size}-${seconds}`;
  return { path, size, token, settled: true, ...(isMultipart(etag) ? {} : { since }) };
}

const etagOf = ({ token }: SourceFile): string => token.slice(0, token.lastIndexOf('-', token.lastIndexOf('-') - 1));

const statusOf = (error: unknown): number | undefined =>
  (error as Partial<S3ServiceException>).$metadata?.httpStatusCode;

/** The SDK marks every error of a request, also one that never got an answer. */
const isOfService = (error: unknown): boolean =>
  error instanceof S3ServiceException ||
  (error as Partial<S3ServiceException>).$metadata !== undefined ||
  (error as Error).name === 'CredentialsProviderError';
