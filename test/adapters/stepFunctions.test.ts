/** Against a server that speaks the protocol: what is asked, and what its refusals become. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { StepFunctions } from '../../adapters/aws/stepFunctions.ts';

const MACHINE = 'arn:aws:states:eu-central-1:111122223333:stateMachine:holdfast-backup';
const EXECUTION = 'arn:aws:states:eu-central-1:111122223333:execution:holdfast-backup';

/** Executions by ARN: their input, and how they stand. */
const executions = new Map<string, { input: string; status: string; error?: string; cause?: string }>();
let server: Server;
let workflows: StepFunctions;

function answer(operation: string, body: Record<string, string>): object {
  const refuse = (name: string) => Object.assign(new Error('no'), { name });
  if (operation === 'StartExecution') {
    const executionArn = `${EXECUTION}:${body.name}`;
    const known = executions.get(executionArn);
    if (known && (known.input !== body.input || known.status !== 'RUNNING')) throw refuse('ExecutionAlreadyExists');
    if (!known) executions.set(executionArn, { input: body.input!, status: 'RUNNING' });
    return { executionArn, startDate: 1 };
  }
  const found = executions.get(body.executionArn!);
  if (!found) throw refuse('ExecutionDoesNotExist');
  if (operation === 'RedriveExecution') {
    if (found.status === 'SUCCEEDED' || found.status === 'RUNNING') throw refuse('ExecutionNotRedrivable');
    found.status = 'RUNNING';
    return { redriveDate: 1 };
  }
  return { executionArn: body.executionArn, stateMachineArn: MACHINE, startDate: 1, ...found };
}

beforeAll(async () => {
  server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      response.setHeader('content-type', 'application/x-amz-json-1.0');
      try {
        const operation = String(request.headers['x-amz-target']).replace('AWSStepFunctions.', '');
        response.end(JSON.stringify(answer(operation, JSON.parse(Buffer.concat(pieces).toString()))));
      } catch (error) {
        response.statusCode = 400;
        response.end(JSON.stringify({ __type: (error as Error).name, message: 'no' }));
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  workflows = new StepFunctions({
    machines: { backup: MACHINE },
    config: { endpoint, region: 'eu-central-1', credentials, disableHostPrefix: true } as never,
  });
});
afterAll(() => new Promise((done) => server.close(done)));

test('the same name is the same execution, whatever its input and however it stands', async () => {
  const one = await workflows.start('backup', { type: 'full' }, { id: 'monday' });
  expect(one).toBe(`${EXECUTION}:monday`);
  expect(await workflows.start('backup', { type: 'full' }, { id: 'monday' })).toBe(one);
  expect(await workflows.start('backup', { type: 'incremental' }, { id: 'monday' })).toBe(one);
  expect(executions.get(one)!.input).toBe('{"type":"full"}');
  await expect(workflows.start('backups', {}, { id: 'x' })).rejects.toMatchObject({ code: 'HF_WORKFLOW_UNKNOWN' });
});

test('how it stands, and going on with one that was stopped', async () => {
  const one = await workflows.start('backup', {}, { id: 'tuesday' });
  expect(await workflows.status(one)).toEqual({ status: 'running' });
  Object.assign(executions.get(one)!, { status: 'FAILED', error: 'HF_X', cause: 'because' });
  expect(await workflows.status(one)).toEqual({ status: 'failed', error: { error: 'HF_X', cause: 'because' } });
  executions.set(one, { input: '{}', status: 'TIMED_OUT' });
  expect(await workflows.status(one)).toEqual({ status: 'failed', error: { error: 'TIMED_OUT', cause: '' } });
  await workflows.redrive(one);
  expect(await workflows.status(one)).toEqual({ status: 'running' });
  executions.get(one)!.status = 'SUCCEEDED';
  expect(await workflows.status(one)).toEqual({ status: 'succeeded' });
  await expect(workflows.redrive(one)).rejects.toMatchObject({ name: 'ExecutionNotRedrivable' });
  expect(await workflows.status(`${EXECUTION}:none`)).toBeUndefined();
});
