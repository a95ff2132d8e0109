import type { RetentionSettings } from '../core/datamap/settings.ts';
import type { VaultLock } from './constructs/vault.ts';
import { SynthError } from './synthError.ts';

const WEEK = 7;
/** Below this a change to the cheaper class costs more than it saves: it bills 90 days at least. */
const CHEAPER_PAYS_FROM = 90;

/** How long a bucket keeps what: the props of a `Vault` that follow from the retention policy. */
export interface VaultTerms {
  /** See `VaultProps.lock`. */
  readonly lock: VaultLock;
  /** See `VaultProps.removedVersionDays`. */
  readonly removedVersionDays: number;
  /** See `VaultProps.infrequentAfterDays`. @default never */
  readonly infrequentAfterDays?: number;
}

/**
 * Terms that fit a retention policy. Cleanup decides what goes; the bucket only bounds it: it locks what is younger than the shortest
 * time that a backup is meant to live, and moves what only monthly rules can still keep to a cheaper class.
 *
 * @param mode see `VaultLock.mode`
 * @param lockDays @default the days for which every day is kept, 7 at least
 * @throws SynthError when the lock would outlive the policy, so that cleanup could free nothing
 */
export function vaultTerms(
  { daily, weekly, monthly }: RetentionSettings,
  mode: VaultLock['mode'],
  lockDays = Math.max(daily, 7),
): VaultTerms {
  const longest = Math.max(daily, weekly * WEEK, monthly * 31);
  if (lockDays > Math.max(longest, 7)) {
    throw new SynthError('lockDays', `at most the ${longest} days for which retention keeps a backup`, lockDays);
  }
  const onlyMonthly = Math.max(daily, weekly * WEEK);
  return {
    lock: { mode, days: lockDays },
    removedVersionDays: lockDays,
    ...(longest - onlyMonthly >= CHEAPER_PAYS_FROM ? { infrequentAfterDays: Math.max(onlyMonthly, 1) } : {}),
  };
}
