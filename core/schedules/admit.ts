/** Which of the runs that wait may begin: a function of data to data. */

export interface Candidate {
  readonly id: string;
  readonly lane: string;
  readonly deadline: number;
}

/**
 * By deadline, so that what is nearest to being late goes first and nothing waits for ever: whatever comes later has a later
 * deadline. One at a time in each lane.
 * @param busy lanes of what is running
 * @param slots how many more may run
 */
export function admit<T extends Candidate>(waiting: readonly T[], busy: Iterable<string>, slots: number): T[] {
  const lanes = new Set(busy);
  const admitted: T[] = [];
  for (const run of [...waiting].sort(byDeadline)) {
    if (admitted.length >= slots) break;
    if (lanes.has(run.lane)) continue;
    lanes.add(run.lane);
    admitted.push(run);
  }
  return admitted;
}

const byDeadline = (a: Candidate, b: Candidate): number =>
  a.deadline - b.deadline || a.id.length - b.id.length || (a.id < b.id ? -1 : 1);
