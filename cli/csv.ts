/** CSV as PostgreSQL writes it: a null is nothing, an empty text is `""`. */
export function csvLine(values: readonly (string | null)[]): string {
  return `${values.map(field).join(',')}\n`;
}

function field(value: string | null): string {
  if (value === null) return '';
  return value === '' || /[",\r\n]/.test(value) || /^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
