/** A share of a backup's objects, or of the listings of a run of users' files, as the list of a check names it. */
export interface Part {
  /** Id of the backup, or of the run. */
  readonly backup: string;
  readonly number: number;
  readonly of: number;
  readonly files?: true;
}
