/** A share of a backup's objects, as the list of a check names it. */
export interface Part {
  readonly backup: string;
  readonly number: number;
  readonly of: number;
}
