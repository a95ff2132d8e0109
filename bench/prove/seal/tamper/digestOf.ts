import { hash } from 'node:crypto';

/** What links a segment to the one before it: docs/sealing.md. */
export const digestOf = (header: string): string => hash('sha256', `holdfast-segment-1\n${header}`, 'hex');
