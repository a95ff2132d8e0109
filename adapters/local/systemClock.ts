import { momentFromDate } from '../../core/moment.ts';
import type { Clock } from '../../core/ports.ts';

export const systemClock: Clock = { now: () => momentFromDate(new Date()) };
