/** Lets a client of node-postgres talk to PGlite as if to a server: the socket is a worker thread. */
import { Duplex } from 'node:stream';
import type { Worker } from 'node:worker_threads';

const QUERY = 0x51; // Q
const COPY_DONE = 0x63; // c
const COPY_FAIL = 0x66; // f
const TERMINATE = 0x58; // X
const COPY_IN = Buffer.from([0x47, 0, 0, 0, 7, 0, 0, 0]); // G: text format, columns not said

/**
 * PGlite cannot wait for more input in the middle of a statement, so a COPY is held back until its data is there as a whole;
 * the client is told meanwhile that it may send.
 */
export class PgliteStream extends Duplex {
  readonly #worker: Worker;
  #input: Buffer = Buffer.alloc(0);
  #started = false;
  #copy: Buffer[] | undefined;
  #answer: ((got: Uint8Array | string) => void) | undefined;

  constructor(worker: Worker) {
    super();
    this.#worker = worker;
    worker.on('message', (got: Uint8Array | string) => this.#answer?.(got));
    worker.on('exit', () => this.destroy());
  }

  /** What node-postgres asks of a socket. */
  connect(): void {
    queueMicrotask(() => this.emit('connect'));
  }
  setNoDelay(): void {}
  setKeepAlive(): void {}
  ref(): void {}
  unref(): void {}

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#take(chunk).then(() => done(), done);
  }

  override _final(done: () => void): void {
    this.push(null);
    done();
  }

  async #take(chunk: Buffer): Promise<void> {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    const ready: Buffer[] = [];
    for (let message = this.#next(); message; message = this.#next()) {
      if (message[0] === TERMINATE && this.#started) continue;
      this.#started = true;
      if (this.#copy) {
        this.#copy.push(message);
        if (message[0] === COPY_DONE || message[0] === COPY_FAIL) await this.#sendCopy();
      } else if (isCopyIn(message)) {
        await this.#send(ready.splice(0));
        this.#copy = [message];
        this.push(COPY_IN);
      } else ready.push(message);
    }
    await this.#send(ready);
  }

  /** The next whole message; the first of a connection has no type byte. */
  #next(): Buffer | undefined {
    const head = this.#started ? 1 : 0;
    if (this.#input.length < head + 4) return undefined;
    const length = head + this.#input.readUInt32BE(head);
    if (this.#input.length < length) return undefined;
    const message = this.#input.subarray(0, length);
    this.#input = this.#input.subarray(length);
    if (!this.#started) this.#started = true;
    return message;
  }

  async #sendCopy(): Promise<void> {
    const parts = this.#copy!;
    this.#copy = undefined;
    const got = await this.#exchange(Buffer.concat(parts));
    const announced = got[0] === COPY_IN[0] ? 1 + got.readUInt32BE(1) : 0;
    this.push(got.subarray(announced));
  }

  async #send(messages: readonly Buffer[]): Promise<void> {
    if (messages.length === 0) return;
    const got = await this.#exchange(messages.length === 1 ? messages[0]! : Buffer.concat(messages));
    if (got.length > 0) this.push(got);
  }

  #exchange(bytes: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#answer = (got) => {
        this.#answer = undefined;
        if (typeof got === 'string') reject(new Error(`PGlite has failed: ${got}`));
        else resolve(Buffer.from(got.buffer, got.byteOffset, got.byteLength));
      };
      this.#worker.postMessage(bytes);
    });
  }
}

function isCopyIn(message: Buffer): boolean {
  if (message[0] !== QUERY) return false;
  return /^\s*copy\s[\s\S]*\sfrom\s+stdin\b/i.test(message.toString('utf8', 5, Math.min(message.length, 65_536)));
}
