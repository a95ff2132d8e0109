/** The thread that seals slabs. It has nothing else in its memory, so clearing away the many large buffers costs it little. */
import { parentPort } from 'node:worker_threads';
import { type PackedSlab, type Question, unpack } from './sealMessage.ts';
import { sealSlab } from './slab.ts';

const port = parentPort!;
let memory = new ArrayBuffer(0);
let slabs: readonly PackedSlab[] = [];

port.on('message', async (question: Question) => {
  if (question.what === 'lend') {
    ({ memory, slabs } = question);
  } else if (question.what === 'back') {
    port.postMessage({ memory }, [memory]);
  } else {
    try {
      const { input, key } = unpack(slabs[question.slab]!, memory);
      const bytes = await sealSlab(input, key);
      // A small buffer is a piece of one that others use too.
      const own = bytes.length === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
      port.postMessage({ slab: question.slab, bytes: own }, [own.buffer as ArrayBuffer]);
    } catch (error) {
      port.postMessage({ slab: question.slab, error: (error as Error).stack ?? String(error) });
    }
  }
});
