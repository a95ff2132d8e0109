/** A task on Lambda: logs, metrics, idempotency, and a context out of the environment. */
import { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { logMetrics } from '@aws-lambda-powertools/metrics/middleware';
import middy from '@middy/core';
import type { Context as LambdaContext } from 'aws-lambda';
import { isCode } from '../core/errors.ts';
import { environmentContext, fixedContext, forgetDatabase } from './environment.ts';
import { runTask, type Task, TaskError } from './task.ts';

/** Kept back of the time that is left, to end in order. */
const MARGIN_MS = 60_000;

const logger = new Logger();
const metrics = new Metrics({ namespace: 'Holdfast' });

/**
 * Errors of a task keep their name, so that the state machine can tell them apart. Everything that the task may need is loaded when this
 * resolves, but for the password of the database.
 */
export async function serve<Input, Output>(work: Task<Input, Output>) {
  const handler = middy(async (event: unknown, context: LambdaContext): Promise<Output> => {
    const began = performance.now();
    try {
      const answer = await withFreshPassword(work, event, context);
      metrics.addMetric('Succeeded', MetricUnit.Count, 1);
      for (const [name, value] of Object.entries(work.measure?.(answer) ?? {})) {
        metrics.addMetric(name, MetricUnit.Count, value);
      }
      return answer;
    } catch (error) {
      const { name, cause } = error as TaskError;
      logger.error('task failed', { code: name, at: framesOf(cause) });
      metrics.addMetric('Failed', MetricUnit.Count, 1);
      throw error;
    } finally {
      metrics.addMetric('Milliseconds', MetricUnit.Milliseconds, performance.now() - began);
    }
  })
    // Inputs name tenants and persons: they are not logged.
    .use(injectLambdaContext(logger, { resetKeys: true }))
    .use(logMetrics(metrics));
  await fixedContext().catch(() => {}); // asked for again, and told, by the first call
  const table = process.env.HOLDFAST_IDEMPOTENCY;
  return table ? handler.use((await import('./remember.ts')).remember(table)) : handler;
}

/**
 * Where it was thrown. What it says may name tenants, so it is not logged: the catalog keeps it, and the history of the execution.
 */
function framesOf(error: unknown): string[] {
  const lines = error instanceof Error ? (error.stack ?? '').split('\n') : [];
  return lines.filter((line) => /^\s+at /.test(line)).map((line) => line.trim());
}

/** A password that was rotated since it was read is read again, once. */
async function withFreshPassword<Input, Output>(
  work: Task<Input, Output>,
  event: unknown,
  context: LambdaContext,
): Promise<Output> {
  const attempt = async () => {
    const ctx = await environmentContext().catch((error: unknown) => {
      throw new TaskError(error);
    });
    const remaining = () => context.getRemainingTimeInMillis() - MARGIN_MS;
    return runTask(work, { ...ctx, remaining }, event);
  };
  try {
    return await attempt();
  } catch (error) {
    if (!isCode((error as TaskError).cause, 'HF_DATABASE_AUTH')) throw error;
    forgetDatabase();
    return attempt();
  }
}
