/** Reads holdfast.yaml from disk. */
import { readFile } from 'node:fs/promises';
import { ConfigError } from '../errors.ts';
import { parseMap } from './parse.ts';
import { parseSettings, type Settings } from './settings.ts';
import type { DataMap } from './types.ts';

/** @throws ConfigError HF_MAP_MISSING, HF_MAP_INVALID */
export async function readMap(path: string): Promise<DataMap> {
  return parseMap(await readMapText(path), path);
}

/** The sections beside the map: where backups and keys live, retention, schedules. Same errors. */
export async function readSettings(path: string): Promise<Settings> {
  return parseSettings(await readMapText(path), path);
}

async function readMapText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ConfigError(
      'HF_MAP_MISSING',
      `${absent ? 'There is no data map at' : 'Cannot read the data map'} ${path}.`,
      {
        cause,
        action: absent
          ? 'Write one with `holdfast init --database-url …`, or name it with --config.'
          : 'Check that this user may read it.',
        details: { path },
      },
    );
  }
}
