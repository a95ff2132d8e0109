/** Values inside a COPY statement, which can carry no parameters. */

/** PostgreSQL's array text, `{"a","b\"c"}`. Quoted whole by the caller (`literal`). */
export function arrayText(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`;
}
