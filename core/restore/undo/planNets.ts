/** From the changes that were read to what the undo does to each record, planned as it goes by. */
import { requireKnown } from '../../history/redacted.ts';
import type { Facts } from './desk.ts';
import { mergeAll, missingTable, nameless, type RecordNet, writable } from './nets.ts';
import { joinMoves, type MarkedChange } from './read.ts';
import type { Run } from './run.ts';

/** What has been yielded is in `planned`, `decisions` and `seen` of the run. */
export async function* planNets(run: Run, changes: AsyncIterable<MarkedChange>): AsyncGenerator<RecordNet> {
  const { facts, request, selection, planned, decisions } = run;
  const checked = new Set<number>();
  const carried = onlyWritable(facts.crossing.carry(checkTables(changes, facts)), facts);
  const merged = mergeAll(joinMoves(carried), {
    ...(selection.columns ? { columns: selection.columns } : {}),
    decide: (table, record, conflict) => decisions.decide(table, record, conflict),
    undone: (change) => {
      planned.undone(change);
      if (selection.named) run.seen.add(change.record!);
      if (checked.has(change.table)) return;
      checked.add(change.table);
      facts.crossing.checkSince(change.table, change.seq, request.droppedColumns ?? 'refuse');
    },
  });
  for await (const net of merged) {
    if (net.action !== 'delete') requireKnown(net.after, facts.targets.get(net.table)!.bound.name, net.record);
    planned.add(net);
    yield net;
  }
}

async function* onlyWritable(changes: AsyncIterable<MarkedChange>, facts: Facts): AsyncGenerator<MarkedChange> {
  const columns = new Map([...facts.targets].map(([id, t]) => [id, new Set(t.columns.map((c) => c.name))]));
  for await (const change of changes) yield writable(change, columns.get(change.table)!);
}

/** Before anything else looks at a change: its table must be one that can be written. */
async function* checkTables(changes: AsyncIterable<MarkedChange>, facts: Facts): AsyncGenerator<MarkedChange> {
  for await (const change of changes) {
    const target = facts.targets.get(change.table);
    if (change.record === null) throw nameless(change, target?.bound.name);
    if (!target) throw missingTable(change.table);
    yield change;
  }
}
