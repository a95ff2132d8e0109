import { userInfo } from 'node:os';
import type { Command } from 'commander';

export interface ByOption {
  readonly by: string;
}

/** Who does it, for the request and the trail. Whoever may use this command line can name anybody; the log-in is kept beside it. */
export const declareBy = (command: Command): Command =>
  command.option('--by <person>', 'who does this', operatingSystemUser());

function operatingSystemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return ''; // a container may run as a user that has no name: --by must then be given
  }
}
