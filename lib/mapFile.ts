import { existsSync, readFileSync } from 'node:fs';
import { parseMap } from '../core/datamap/parse.ts';
import { parseSettings, type Settings } from '../core/datamap/settings.ts';
import { SynthError } from './synthError.ts';

/**
 * What holdfast.yaml says beside the map. It is read as a whole, so that a mistake in it is found here and not by the first function that
 * runs.
 * @throws SynthError when it is not there; ConfigError HF_MAP_INVALID, HF_SCHEDULE_INVALID, HF_CRON_INVALID
 */
export function readMapFile(path: string): Settings {
  if (!existsSync(path)) throw new SynthError('map', 'the path of a file', path);
  const text = readFileSync(path, 'utf8');
  parseMap(text, path);
  return parseSettings(text, path);
}
