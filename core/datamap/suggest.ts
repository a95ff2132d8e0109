/** "Did you mean …?" for names in a data map. */

/** The candidate nearest to `name` by edits, or undefined when none is near enough to be a likely slip. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    // Leaving out the schema or the case is the most common slip of all.
    const distance = Math.min(
      editDistance(bare(name), bare(candidate)),
      editDistance(name.toLowerCase(), candidate.toLowerCase()),
    );
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

export const didYouMean = (name: string, candidates: Iterable<string>): string => {
  const found = nearest(name, candidates);
  return found === undefined ? '' : ` Did you mean ${found}?`;
};

const bare = (name: string): string => name.replace(/^.*\./, '').replaceAll('"', '').toLowerCase();

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}
