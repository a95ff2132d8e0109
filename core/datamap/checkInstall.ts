/** What `install` has made, against what it should be. */
import type { Client } from '../sql.ts';
import type { Catalog, CatalogTable } from './catalog.ts';
import type { Finding } from './finding.ts';
import { formatReach } from './notation.ts';
import type { BoundMap } from './types.ts';

const REINSTALL = 'holdfast install';

interface TriggerState {
  oid: number;
  enabled: string[];
  /** Sum of what the triggers cover: pg_trigger.tgtype bits. */
  bits: number;
}

/** pg_trigger.tgtype */
const [ROW, INSERT, DELETE, UPDATE, TRUNCATE] = [1, 4, 8, 16, 32];
const EVENTS = [
  [INSERT, 'INSERT'],
  [UPDATE, 'UPDATE'],
  [DELETE, 'DELETE'],
  [TRUNCATE, 'TRUNCATE'],
] as const;

/** Returns one finding, HF_NOT_INSTALLED, when there is nothing to check. */
export async function checkInstall(client: Client, catalog: Catalog, bound: BoundMap): Promise<Finding[]> {
  const there = await client.query<{ yes: boolean }>("select to_regclass('holdfast.tables') is not null as yes");
  if (!there.rows[0]!.yes) {
    return [
      {
        code: 'HF_NOT_INSTALLED',
        severity: 'error',
        message: 'Holdfast is not installed in this database: nothing is captured.',
        mend: REINSTALL,
      },
    ];
  }
  const live = new Map(catalog.tables.map((t) => [t.oid, t]));
  return [
    ...(await checkTriggers(client, bound, live)),
    ...(await checkDrift(client, bound, live)),
    ...(await checkEventTrigger(client)),
    ...(await checkPartitions(client)),
  ];
}

async function checkTriggers(client: Client, bound: BoundMap, live: Map<number, CatalogTable>): Promise<Finding[]> {
  const oids = bound.tables.flatMap((t) => [t.oid, ...live.get(t.oid)!.partitions.map((p) => p.oid)]);
  const { rows } = await client.query<TriggerState>(
    `select t.tgrelid::int8::float8 as oid, array_agg(distinct t.tgenabled::text) as enabled, bit_or(t.tgtype::int) as bits
       from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'holdfast' and (not t.tgisinternal or t.tgparentid <> 0) and t.tgrelid = any($1::oid[])
      group by t.tgrelid`,
    [oids],
  );
  const states = new Map(rows.map((row) => [row.oid, row]));
  return bound.tables.flatMap((table) => {
    const places: Place[] = [
      { name: table.name, oid: table.oid, holdsRows: !table.partitioned },
      ...live
        .get(table.oid)!
        .partitions.filter((p) => p.kind !== 'foreign')
        .map((p) => ({ name: p.name, oid: p.oid, holdsRows: p.kind === 'ordinary' })),
    ];
    return places.flatMap((place) => triggerFindings(table.name, place, states.get(place.oid)));
  });
}

interface Place {
  readonly name: string;
  readonly oid: number;
  /** Only these are truncated themselves; a partitioned table passes TRUNCATE on to its partitions. */
  readonly holdsRows: boolean;
}

function triggerFindings(table: string, place: Place, state: TriggerState | undefined): Finding[] {
  const finding = (code: string, message: string): Finding => ({
    code,
    severity: 'error',
    table,
    message,
    mend: REINSTALL,
  });
  const bits = state?.bits ?? 0;
  const expected = EVENTS.filter(([bit]) => place.holdsRows || bit !== TRUNCATE);
  const missing = expected.filter(([bit]) => (bits & bit) === 0 || (bit !== TRUNCATE && (bits & ROW) === 0));
  const events = missing.map(([, name]) => name).join(', ');
  if (missing.length === expected.length) {
    const what = place.name === table ? table : `the partition ${place.name} of ${table}`;
    return [finding('HF_TRIGGER_MISSING', `No change to ${what} is captured: it has no trigger of Holdfast's.`)];
  }
  const findings: Finding[] = [];
  if (missing.length > 0) findings.push(finding('HF_TRIGGER_MISSING', `${events} on ${place.name} is not captured.`));
  if (state!.enabled.includes('D')) {
    findings.push(
      finding('HF_TRIGGER_DISABLED', `A trigger of Holdfast's on ${place.name} is disabled: changes are lost now.`),
    );
  } else if (state!.enabled.some((mode) => mode !== 'A')) {
    findings.push(
      finding(
        'HF_TRIGGER_NOT_ALWAYS',
        `A trigger of Holdfast's on ${place.name} is not ENABLE ALWAYS: session_replication_role silences it.`,
      ),
    );
  }
  return findings;
}

interface InstalledTable {
  id: number;
  oid: number;
  columns: Noted[] | null;
  rule: { tenant?: NotedReach; person?: NotedReach };
  drifted: boolean;
}

async function checkDrift(client: Client, bound: BoundMap, live: Map<number, CatalogTable>): Promise<Finding[]> {
  const { rows } = await client.query<InstalledTable>(
    `select t.id, t.oid::int8::float8 as oid, t.rule, v.columns,
            coalesce(v.columns <> holdfast.shape(t.oid) or v.key <> holdfast.key_of(t.oid), false) as drifted
       from holdfast.tables t join pg_class c on c.oid = t.oid
       left join lateral (select columns, key from holdfast.table_versions v
                           where v.table_id = t.id order by v.version desc limit 1) v on true`,
  );
  const mapped = new Map(bound.tables.map((t) => [t.oid, t]));
  const tableOf = new Map(rows.map((row) => [row.id, live.get(row.oid)]));
  return rows.flatMap((row): Finding[] => {
    const table = live.get(row.oid);
    if (!table) return []; // moved to a schema that is not protected: unknown to the map as well
    const finding = (code: string, severity: Finding['severity'], message: string, mend = REINSTALL): Finding[] => [
      { code, severity, table: table.name, message: `${table.name} ${message}`, mend },
    ];
    const rules = mapped.get(row.oid);
    if (!rules) {
      const mend = `Put it back into holdfast.yaml, or let go of it:\n${REINSTALL}`;
      return finding('HF_TABLE_STILL_CAPTURED', 'warning', 'is no longer in the data map but still captured.', mend);
    }
    const difference = row.columns && compareColumns(row.columns, table);
    if (difference) {
      return finding('HF_SCHEMA_DRIFT', 'error', `has changed since its triggers were generated: ${difference}.`);
    }
    if (row.drifted) {
      return finding(
        'HF_SCHEMA_DRIFT',
        'error',
        'has another key, or a type with other labels, than its triggers were generated for.',
      );
    }
    return (['tenant', 'person'] as const).flatMap((what) => {
      const before = reachInWords(row.rule[what], table, tableOf);
      const now = rules[what] ? formatReach(rules[what]) : 'none';
      return before === now
        ? []
        : finding('HF_RULE_CHANGED', 'error', `is captured with ${what} "${before}", but the data map says "${now}".`);
    });
  });
}

/** holdfast.tables.rule: columns by number, tables by Holdfast's id. */
type NotedReach =
  | { readonly kind: 'column'; readonly column: number }
  | { readonly kind: 'via'; readonly columns: number[]; readonly parent: number; readonly parentColumns: number[] };

function reachInWords(
  reach: NotedReach | undefined,
  table: CatalogTable,
  tableOf: ReadonlyMap<number, CatalogTable | undefined>,
): string {
  if (!reach) return 'none';
  const name = (of: CatalogTable | undefined, attnum: number) =>
    of?.columns.find((c) => c.attnum === attnum)?.name ?? `column ${attnum}, which is gone`;
  if (reach.kind === 'column') return formatReach({ kind: 'column', column: name(table, reach.column) });
  const parent = tableOf.get(reach.parent);
  return formatReach({
    kind: 'via',
    columns: reach.columns.map((attnum) => name(table, attnum)),
    parent: parent?.name ?? 'a table that is gone',
    parentColumns: reach.parentColumns.map((attnum) => name(parent, attnum)),
  });
}

interface Noted {
  readonly attnum: number;
  readonly name: string;
  readonly type: string;
}

/** What differs, in words, or undefined. Columns keep their number when they are renamed or retyped. */
function compareColumns(noted: readonly Noted[], table: CatalogTable): string | undefined {
  const before = new Map(noted.map((c) => [c.attnum, c]));
  const now = new Set(table.columns.map((c) => c.attnum));
  const changes = [
    ...table.columns.flatMap((column) => {
      const old = before.get(column.attnum);
      if (!old) return [`${column.name} was added`];
      if (old.name !== column.name) return [`${old.name} was renamed to ${column.name}`];
      return old.type === column.type ? [] : [`${column.name} was ${old.type} and is ${column.type}`];
    }),
    ...noted.filter((c) => !now.has(c.attnum)).map((c) => `${c.name} was dropped`),
  ];
  return changes.length > 0 ? changes.join('; ') : undefined;
}

async function checkEventTrigger(client: Client): Promise<Finding[]> {
  const { rows } = await client.query<{ name: string; event: string; enabled: string }>(
    `select quote_ident(e.evtname) as name, e.evtevent::text as event, e.evtenabled::text as enabled from pg_event_trigger e
       join pg_proc p on p.oid = e.evtfoid join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'holdfast'`,
  );
  const blind =
    'so changes of schema are not followed by themselves: a new column is captured only after the next install.';
  if (!['ddl_command_end', 'sql_drop'].every((event) => rows.some((row) => row.event === event))) {
    return [
      {
        code: 'HF_EVENT_TRIGGER_MISSING',
        severity: 'warning',
        message: `An event trigger of Holdfast's is missing, ${blind}`,
        mend: `${REINSTALL}   # as a superuser (rds_superuser on RDS); or, as any owner, after each migration`,
      },
    ];
  }
  return rows
    .filter((row) => row.enabled !== 'A')
    .map(({ name }) => ({
      code: 'HF_EVENT_TRIGGER_DISABLED',
      severity: 'warning',
      message: `The event trigger ${name} is disabled or not ENABLE ALWAYS, ${blind}`,
      mend: `alter event trigger ${name} enable always;`,
    }));
}

/** Days ahead for which the trail should have partitions. */
const DAYS_AHEAD = 7;

async function checkPartitions(client: Client): Promise<Finding[]> {
  const { rows } = await client.query<{ until: Date | null; days: number | null }>(
    `with bounds as (
       select (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''([^'']+)''\\)'))[1]::timestamptz as until
         from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = to_regclass('holdfast.trail'))
     select max(until) as until, extract(epoch from max(until) - clock_timestamp())::float8 / 86400 as days from bounds`,
  );
  const { until, days } = rows[0]!;
  if (days !== null && days >= DAYS_AHEAD) return [];
  const over = days === null || days <= 0;
  return [
    {
      code: 'HF_TRAIL_PARTITIONS_LOW',
      severity: over ? 'error' : 'warning',
      message: over
        ? 'The trail has no partition for today: writes to protected tables fail, or fall into a default partition that cannot be pruned.'
        : `The trail has partitions only until ${until!.toISOString()}; after that, writes to protected tables would fail.`,
      mend: 'holdfast maintain   # and schedule it daily',
    },
  ];
}
