import * as z from 'zod';
import { IntegrityError, isCode } from '../../core/errors.ts';
import { sizesUnder } from '../../core/locations/compare.ts';
import { isLocking } from '../../core/locations/copyObject.ts';
import { sealFileRuns } from '../../core/locations/fileSteps.ts';
import { checkManifest } from '../../core/snapshot/manifest.ts';
import { backupFolder, readMarker } from '../../core/snapshot/store.ts';
import { execution } from '../backup/request.ts';
import { kept } from '../reference.ts';
import { lambda, task } from '../task.ts';
import type { Pull } from './pull.ts';

/**
 * Manifests come last, oldest first, each only when all that it names is here: a backup, or a run of users' files, is absent or complete
 * here too. The answer says what lock the last one has in truth, asked of the vault rather than of the template; null: none.
 */
export const work = task({
  input: z.object({ execution }),
  run: async (ctx, { execution }) => {
    const { source, store, trust } = ctx;
    const { manifests, fileRuns } = await kept<Pull>(store, execution, 'pull');
    const { id: storeId } = await readMarker(store, trust);
    let bytes = 0;
    for (const name of manifests) {
      const body = await source.get(name);
      const { id, objects, totals } = await checkManifest(trust, body, name, storeId);
      const here = await sizesUnder(store, backupFolder(id));
      const lacking = objects.find((object) => here.get(object.name) !== object.size);
      if (lacking) {
        throw new IntegrityError('HF_OBJECT_MISSING', `${lacking.name} did not get to ${store.description}.`, {
          action: 'Start the workflow again: it pulls what is missing.',
          details: { object: lacking.name, expected: lacking.size, got: here.get(lacking.name) },
        });
      }
      await store.put(name, body).catch((error: unknown) => {
        if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error; // an earlier attempt did it
      });
      bytes += totals.bytes;
    }
    const files = await sealFileRuns({ source, target: store, trust }, storeId, fileRuns);
    const [first] = files.withheld;
    if (first) {
      throw new IntegrityError(
        'HF_FILES_WITHHELD',
        `${files.withheld.length} backups of users' files are not whole here: ${first.message}`,
        {
          action:
            'Everything else was taken over. Mend it at the source, or remove those runs there, and start the workflow again.',
          details: { withheld: files.withheld.slice(0, 10), taken: files.runs },
        },
      );
    }
    const last = manifests.at(-1);
    const lock = last !== undefined && isLocking(store) ? await store.lockOf(last) : undefined;
    return { backups: manifests.length, bytes, fileRuns: files.runs.length, lock: lock ?? null };
  },
});

export const handler = lambda(work);
