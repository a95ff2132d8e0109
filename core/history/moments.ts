/** Moments in SQL. node-postgres would turn a timestamptz into a Date and lose the microseconds, so they travel as text. */

/** A timestamptz expression as text that `parseMoment` reads, whatever the session's settings. */
export const atSql = (expression: string): string =>
  `to_char((${expression}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
