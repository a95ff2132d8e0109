/** Where an installation on AWS has its schedules: what its stacks put into Parameter Store, given by option or environment. */
import type { Command } from 'commander';
import type pg from 'pg';
import { ConfigError } from '../core/errors.ts';
import { type PlaceReport, placeSchedules } from '../core/schedules/place.ts';

const PLACES = {
  group: { variable: 'HOLDFAST_SCHEDULE_GROUP', about: 'schedule group of the installation' },
  role: { variable: 'HOLDFAST_SCHEDULE_ROLE', about: 'ARN of the role of schedules' },
  stateMachines: {
    variable: 'HOLDFAST_STATE_MACHINES',
    about: 'what the ARNs of the state machines begin with, up to and with the name of the installation and "-"',
  },
  missed: { variable: 'HOLDFAST_SCHEDULE_MISSED', about: 'ARN of the queue of starts that failed' },
} as const;
type Place = keyof typeof PLACES;
export type PlaceOptions = { readonly [P in Place]?: string };

const flag = (place: Place): string => `--${place.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

export function declarePlaces(command: Command): Command {
  for (const [place, { variable, about }] of Object.entries(PLACES)) {
    command.option(
      `${flag(place as Place)} <${place === 'group' ? 'name' : 'arn'}>`,
      `${about} (default: $${variable})`,
    );
  }
  return command;
}

/**
 * Tells EventBridge Scheduler what it has not been told. Nothing when no place of it was named: then the local service runs schedules.
 * @throws ConfigError HF_ARGUMENT_INVALID when some of the places were named and others not; HF_SCHEDULER_DENIED and the like
 */
export async function place(client: pg.Client, options: PlaceOptions, all = false): Promise<PlaceReport | undefined> {
  const named = Object.entries(PLACES).map(([name, { variable }]) => {
    const given = options[name as Place] ?? process.env[variable];
    return [name as Place, given === '' ? undefined : given] as const;
  });
  const missing = named.filter(([, value]) => value === undefined).map(([name]) => name);
  if (missing.length === named.length) return undefined;
  if (missing.length > 0) {
    throw new ConfigError('HF_ARGUMENT_INVALID', `${missing.map(flag).join(' and ')} must be given too.`, {
      action: `Pass ${missing.length === 1 ? 'it' : 'them'}, or set ${missing.map((m) => PLACES[m].variable).join(', ')}.`,
      details: { missing },
    });
  }
  const { EventBridgeScheduler } = await import('../adapters/aws/scheduler.ts');
  const places = Object.fromEntries(named) as Record<Place, string>;
  return placeSchedules(client, new EventBridgeScheduler(places), all);
}
