import { expect, test } from '@jest/globals';
import { DatabaseError } from '../../core/errors.ts';
import { work as load } from '../../functions/restore/load.ts';
import { absent, caughtError, runTask, type TaskContext, TaskError } from '../../functions/task.ts';

const nowhere = {} as TaskContext;
const failure = (work: Promise<unknown>): Promise<TaskError> =>
  work.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: TaskError) => error,
  );

test('an input that has none of the forms it may have is told what each lacks', async () => {
  const error = await failure(runTask(load, nowhere, { execution: 'x', request: { kind: 'tenant', by: 'ann' } }));
  expect(error.name).toBe('HF_TASK_INPUT');
  const { details } = JSON.parse(error.message) as { details: { issues: { path: string }[] } };
  expect(details.issues.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['request.id', 'request.request', 'request.reason']),
  );
});

test('what may pass is Transient, what does not has its code, and nothing is lost on the way through a state machine', () => {
  const options = { action: 'Wait.', details: { at: 1 } };
  const lost = new TaskError(Object.assign(new Error('Connection terminated'), { code: 'ECONNRESET' }));
  expect(lost.name).toBe('Transient');
  expect(new TaskError(new Error('nobody foresaw this')).name).toBe('Transient');
  const known = new TaskError(new DatabaseError('HF_BACKUP_RUNNING', 'One is running.', options));
  expect(known.name).toBe('HF_BACKUP_RUNNING');
  const told = { code: 'HF_BACKUP_RUNNING', message: 'One is running.', ...options };
  // As the local engine catches it, and as Lambda's answer is caught.
  expect(caughtError({ Error: known.name, Cause: known.message })).toEqual(told);
  const lambda = JSON.stringify({ errorType: known.name, errorMessage: known.message, trace: [] });
  expect(caughtError({ Error: known.name, Cause: lambda })).toEqual(told);
  expect(caughtError({ Error: 'States.Timeout', Cause: '' })).toEqual({ code: 'States.Timeout', message: '' });
  const plain = { Error: 'Lambda.Unknown', Cause: JSON.stringify({ errorMessage: 'out of memory' }) };
  expect(caughtError(plain)).toMatchObject({ code: 'Lambda.Unknown', message: 'out of memory' });
  expect(caughtError(undefined)).toMatchObject({ code: 'unknown' });
});

test('what a place does not have says so when it is used, and not before', async () => {
  const keys = absent<{ sign(): Promise<void> }>('key service', 'HOLDFAST_ROOT_KEY');
  await Promise.resolve(keys); // passing it on asks it nothing
  expect(() => keys.sign()).toThrow(expect.objectContaining({ code: 'HF_FUNCTION_ENVIRONMENT' }));
});
