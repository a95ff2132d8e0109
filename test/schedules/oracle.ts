/**
 * When a cron expression is due, by looking at the wall clock of every minute: no code in common with core/schedules. Minutes are
 * counted since the Unix epoch; a wall minute is what the clock shows, counted as if it showed UTC.
 */

/** What the clock of a zone shows in every minute of [from, to). It is asked every `step` minutes; none changes within one. */
export function wallClock(zone: string, from: number, to: number, step = 30): Int32Array {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' });
  const walls = new Int32Array(to - from);
  for (let i = 0; i < walls.length; i += step) {
    const shown = Date.parse(`${format.format((from + i) * 60_000).replace(' ', 'T')}Z`) / 60_000;
    for (let k = 0; k < step && i + k < walls.length; k += 1) walls[i + k] = shown + k;
  }
  return walls;
}

/** The minutes at which it is due, among those of `walls` but the first. */
export function dueMinutes(expression: string, walls: Int32Array, from: number): number[] {
  const [minute, hour, day, month, weekday] = expression.split(/\s+/) as [string, string, string, string, string];
  const everyHour = range(0, 23).every((h) => says(hour, h));
  const minutes = range(0, 59).map((m) => says(minute, m));
  const hours = range(0, 23).map((h) => says(hour, h));
  const firstDay = Math.floor(walls[0]! / 1440) - 1;
  const days = range(firstDay, firstDay + Math.ceil(walls.length / 1440) + 3).map((n) => {
    const date = new Date(n * 86_400_000);
    const w = date.getUTCDay();
    const inWeek = says(weekday, w) || (w === 0 && says(weekday, 7));
    return inWeek && says(day, date.getUTCDate()) && says(month, date.getUTCMonth() + 1);
  });
  const named = (wall: number): boolean =>
    minutes[wall % 60]! && hours[Math.floor(wall / 60) % 24]! && days[Math.floor(wall / 1440) - firstDay]!;

  const due: number[] = [];
  const count = walls.length;
  let highest = walls[0]!;
  for (let i = 1; i < count; i += 1) {
    const wall = walls[i]!;
    if (everyHour || wall === highest + 1) {
      if (named(wall)) due.push(from + i);
    } else if (wall > highest && range(highest + 1, wall).some(named)) {
      due.push(from + i); // what the clock passed over is due where it lands, once
    }
    // What it shows again has been due before.
    if (wall > highest) highest = wall;
  }
  return due;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const NAMES = 'sun mon tue wed thu fri sat'.split(' ');

/** Whether a field names a number. Day names only, as the expressions of the tests have no others. */
function says(field: string, n: number): boolean {
  return field.split(',').some((part) => {
    const [what, step] = part.split('/') as [string, string?];
    const [low, high] = what.split('-').map((x) => (NAMES.includes(x) ? NAMES.indexOf(x) : Number(x)));
    // Only minutes and hours, which begin at 0, are stepped through.
    if (what === '*') return step === undefined || n % Number(step) === 0;
    return n >= low! && n <= (high ?? low!) && (n - low!) % Number(step ?? 1) === 0;
  });
}
