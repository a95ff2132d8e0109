/** The result of each step of a backup, in the catalog. */
import type pg from 'pg';
import { describeError, logStep, type StepResult } from '../catalog/record.ts';

export class StepNotes {
  readonly #client: pg.Client;
  readonly #backup: string;
  readonly #tenant: string | null;

  constructor(client: pg.Client, backup: string, tenant: string | null) {
    this.#client = client;
    this.#backup = backup;
    this.#tenant = tenant;
  }

  /** Runs a step and keeps its result. */
  async step<T>(step: string, work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      const result = await work();
      await this.note(step, 'ok', performance.now() - began);
      return result;
    } catch (error) {
      await this.note(step, 'failed', performance.now() - began, describeError(error)).catch(() => {}); // the step's error counts
      throw error;
    }
  }

  note(step: string, result: StepResult, milliseconds: number, detail?: unknown): Promise<void> {
    return logStep(this.#client, { backup: this.#backup, tenant: this.#tenant, step, result, milliseconds, detail });
  }
}
