/** Sealing in a thread of its own, so that it overlaps with reading and splitting the rows that come next. */
import { Buffer } from 'node:buffer';
import { Worker } from 'node:worker_threads';
import { BUNDLED } from '../bundled.ts';
import type { RowArena } from './arena.ts';
import { type Answer, pack, type Question, type SlabToSeal } from './sealMessage.ts';
import { sealSlab } from './slab.ts';

/** The slabs of one object, being sealed. */
export interface Sealing {
  /** Seals slab `index`. Several may be under way. */
  seal(index: number): Promise<Buffer>;
  /** To be called when none is wanted any more, before the arena is used again. */
  done(): Promise<void>;
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Bytes of rows below which starting a thread costs more than it saves. */
const WORTHWHILE = 8 << 20;
const BACK = -1;

/** One thread, started when it is first worth it. It seals one object at a time. */
export class SealThread {
  #worker: Worker | undefined;
  readonly #waiting = new Map<number, Waiting>();

  /** @param arena what the rows of `slabs` lie in; it is not to be touched until `done` */
  begin(slabs: readonly SlabToSeal[], arena: RowArena): Sealing {
    // A function has its core for itself, and no file beside it that a thread could be started from.
    if (BUNDLED || arena.kept < WORTHWHILE) {
      return { seal: (index) => sealSlab(slabs[index]!.input, slabs[index]!.key), done: async () => {} };
    }
    const worker = this.#started();
    const packed = slabs.map((slab) => pack(slab, arena.bytes.buffer));
    const memory = arena.lend();
    worker.postMessage({ what: 'lend', memory, slabs: packed } satisfies Question, [memory]);
    return {
      seal: async (index) => {
        const answer = await this.#ask(worker, index, { what: 'seal', slab: index });
        if ('error' in answer) throw new Error(answer.error);
        const { buffer, byteOffset, length } = (answer as { bytes: Uint8Array<ArrayBuffer> }).bytes;
        return Buffer.from(buffer, byteOffset, length);
      },
      done: async () => {
        arena.takeBack(((await this.#ask(worker, BACK, { what: 'back' })) as { memory: ArrayBuffer }).memory);
      },
    };
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #ask(worker: Worker, number: number, question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      worker.postMessage(question);
    });
  }

  #started(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('./sealWorker.ts', import.meta.url), { execArgv: [] });
    worker.on('message', (answer: Answer) => {
      const number = 'slab' in answer ? answer.slab : BACK;
      const { resolve } = this.#waiting.get(number)!;
      this.#waiting.delete(number);
      resolve(answer);
    });
    const stopped = (error: unknown) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      this.#worker = undefined;
    };
    worker.on('error', stopped);
    worker.on('exit', () => stopped(new Error('The sealing thread has ended.')));
    this.#worker = worker;
    return worker;
  }
}
