/** What validation finds: each fault names the object, the bytes, and what was expected. */
export type FaultKind =
  | 'missing'
  | 'truncated'
  | 'extended'
  | 'corrupt'
  /** Intact bytes of this backup, in the wrong place. */
  | 'swapped'
  /** Intact bytes of something else: another backup, or another store. */
  | 'foreign'
  | 'signature'
  | 'version'
  | 'key'
  /** A chain that does not reach back to a full. */
  | 'chain';

export interface Fault {
  readonly kind: FaultKind;
  /** Name of the object, or of the manifest. */
  readonly object: string;
  /**
   * The damaged bytes, as far as they can be told apart from sound ones; absent for an object that is
   * not there, and for a manifest or key, which is sound or not as a whole.
   */
  readonly range?: { readonly offset: number; readonly length: number };
  readonly expected: string;
  readonly got: string;
}

export interface ValidationReport {
  readonly backup: string;
  readonly deep: boolean;
  /** What was looked at. Rows and capsules are counted by a deep validation only. */
  readonly objects: number;
  readonly slabs: number;
  readonly bytes: number;
  readonly rows: number;
  readonly capsules: { readonly opened: number; readonly erased: number };
  /** Backups that a restore of this one needs, from the full to this one. */
  readonly chain: readonly string[];
  /** In the backup's folder, but in no manifest: what a killed attempt left, or what somebody put there. No reader looks at it. */
  readonly extra: readonly { readonly object: string; readonly size: number }[];
  /** Empty for a sound backup. */
  readonly faults: readonly Fault[];
}
