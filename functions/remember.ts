/** Answers that are remembered: for a step that must not be done again when its message arrives twice. */
import { IdempotencyConfig } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import { makeHandlerIdempotent } from '@aws-lambda-powertools/idempotency/middleware';

/** Longer than any retry or redrive of its execution comes. */
const REMEMBERED_SECONDS = 14 * 86_400;

/** @param tableName of an `IdempotencyTable` */
export const remember = (tableName: string) =>
  makeHandlerIdempotent({
    persistenceStore: new DynamoDBPersistenceLayer({ tableName }),
    config: new IdempotencyConfig({ expiresAfterSeconds: REMEMBERED_SECONDS, hashFunction: 'sha256' }),
  });
