/** Names separated by commas; one that has a comma in it is not worth a syntax of its own. */
export const nameList = (list: string): string[] =>
  list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
