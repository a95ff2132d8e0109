/** How old the keys are that are in use, and what to do with one that is due to be changed. */
import type { Moment } from '../moment.ts';
import type { KeyAge, KeyService } from '../ports.ts';

/** A key should be changed this often. */
const ROTATION_DAYS = 90;
/** A service that rotates by itself is given these days more before anybody is troubled. */
const GRACE_DAYS = 7;

export interface KeyState extends KeyAge {
  /** Whole days since its material was made. */
  readonly days: number;
  /** Days until it should be changed; 0 when that is due. */
  readonly daysLeft: number;
  readonly due: boolean;
  /** What to do, once it is due. */
  readonly action?: string;
}

/** Each current key with its age, and whether it is due. */
export async function keyStates(keys: Pick<KeyService, 'ages'>, now: Moment): Promise<KeyState[]> {
  return (await keys.ages()).map((age) => {
    const days = Math.floor((Number(now / 1000n) - Date.parse(age.since)) / 86_400_000);
    const itself = age.rotatesEveryDays !== undefined && age.rotatesEveryDays <= ROTATION_DAYS;
    const limit = ROTATION_DAYS + (itself ? GRACE_DAYS : 0);
    const state = { ...age, days, daysLeft: Math.max(0, limit - days), due: days >= limit };
    return state.due ? { ...state, action: actionFor(age) } : state;
  });
}

function actionFor({ keyId, use, rotatesEveryDays }: KeyAge): string {
  if (keyId.startsWith('local:')) return 'Run "holdfast keys rotate", and copy the key file to where its copy is kept.';
  if (use === 'sign')
    return 'Make a new signing key in KMS, and name it first in the list of signing keys; keep the older ones in it.';
  return rotatesEveryDays === undefined
    ? `Turn automatic rotation on for this key in KMS, every ${ROTATION_DAYS} days; nothing has to be wrapped anew.`
    : `It rotates every ${rotatesEveryDays} days: set ${ROTATION_DAYS}, or see in KMS why it did not rotate.`;
}
