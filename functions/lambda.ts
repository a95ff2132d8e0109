/** A task on Lambda: logs, metrics, idempotency, and a context out of the environment. */
import { IdempotencyConfig } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import { makeHandlerIdempotent } from '@aws-lambda-powertools/idempotency/middleware';
import { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { logMetrics } from '@aws-lambda-powertools/metrics/middleware';
import middy from '@middy/core';
import type { Context as LambdaContext } from 'aws-lambda';
import { environmentContext, forgetDatabase } from './environment.ts';
import { isCode, runTask, type Task, type TaskContext, TaskError } from './task.ts';

/** How long the answer to a task is remembered: longer than any retry or redrive of its execution comes. */
const REMEMBERED_SECONDS = 14 * 86_400;
/** Kept back of the time that is left, to end in order. */
const MARGIN_MS = 60_000;

const logger = new Logger();
const metrics = new Metrics({ namespace: 'Holdfast' });

/** Errors of a task keep their name, so that the state machine can tell them apart. */
export function serve<Input, Output>(work: Task<Input, Output>, more?: () => Promise<Partial<TaskContext>>) {
  const handler = middy(async (event: unknown, context: LambdaContext): Promise<Output> => {
    const began = performance.now();
    try {
      const answer = await withFreshPassword(work, more, event, context);
      metrics.addMetric('Succeeded', MetricUnit.Count, 1);
      return answer;
    } catch (error) {
      const { name, message } = error as TaskError;
      logger.error('task failed', { code: name, reason: message });
      metrics.addMetric('Failed', MetricUnit.Count, 1);
      throw error;
    } finally {
      metrics.addMetric('Milliseconds', MetricUnit.Milliseconds, performance.now() - began);
    }
  })
    // Inputs name tenants and persons: they are not logged.
    .use(injectLambdaContext(logger, { resetKeys: true }))
    .use(logMetrics(metrics));
  const table = process.env.HOLDFAST_IDEMPOTENCY;
  if (!work.once || !table) return handler;
  return handler.use(
    makeHandlerIdempotent({
      persistenceStore: new DynamoDBPersistenceLayer({ tableName: table }),
      config: new IdempotencyConfig({ expiresAfterSeconds: REMEMBERED_SECONDS, hashFunction: 'sha256' }),
    }),
  );
}

/** A password that was rotated since it was read is read again, once. */
async function withFreshPassword<Input, Output>(
  work: Task<Input, Output>,
  more: (() => Promise<Partial<TaskContext>>) | undefined,
  event: unknown,
  context: LambdaContext,
): Promise<Output> {
  const attempt = async () => {
    const ctx = await environmentContext().catch((error: unknown) => {
      throw new TaskError(error);
    });
    const remaining = () => context.getRemainingTimeInMillis() - MARGIN_MS;
    return runTask(work, { ...ctx, ...(await more?.()), remaining }, event);
  };
  try {
    return await attempt();
  } catch (error) {
    if (!isCode((error as TaskError).cause, 'HF_DATABASE_AUTH')) throw error;
    forgetDatabase();
    return attempt();
  }
}
