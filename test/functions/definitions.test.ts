import { expect, test } from '@jest/globals';
import { StateMachine, type StateMachineDefinition } from 'aws-local-stepfunctions';
import { WORKFLOWS, workflowEntry } from '../../functions/catalogue.ts';
import { checkAll, checkWorkflow } from '../../functions/checkDefinitions.ts';
import { type Machine, readDefinition } from '../../functions/definition.ts';

test('the definitions are sound', () => {
  expect(checkAll()).toEqual([]);
});

test.each(WORKFLOWS.map(({ name }) => name))('%s is of the language, as another validator sees it', (name) => {
  const text = JSON.stringify(readDefinition(name)).replaceAll(
    /\$\{(\w+)\}/g,
    'arn:aws:lambda:eu-central-1:111122223333:function:$1',
  );
  expect(() => new StateMachine(JSON.parse(text) as StateMachineDefinition)).not.toThrow();
});

type Change = (states: Record<string, Record<string, unknown>>, machine: Record<string, unknown>) => void;
const drop =
  (field: string): Change =>
  (states) => {
    delete states.Plan![field];
  };

test.each<[string, Change, string]>([
  [
    'a Next that dangles',
    (s) => Object.assign(s.Plan!, { Next: 'Nowhere' }),
    'Plan: goes on with Nowhere, which does not exist',
  ],
  [
    'a Catch that dangles',
    (s) => Object.assign(s.Plan!, { Catch: [{ ErrorEquals: ['States.ALL'], ResultPath: '$.error', Next: 'Nowhere' }] }),
    'Plan: goes on with Nowhere, which does not exist',
  ],
  ['a state that is never reached', (s) => Object.assign(s, { Lost: { Type: 'Succeed' } }), 'Lost: is never reached'],
  [
    'a beginning that does not exist',
    (_, m) => Object.assign(m, { StartAt: 'Begin' }),
    'StartAt names Begin, which does not exist',
  ],
  ['a dead end', drop('Next'), ''],
  ['no Retry', drop('Retry'), 'Plan: no Retry'],
  [
    'a Retry without jitter',
    (s) => Object.assign(s.Plan!, { Retry: [{ ErrorEquals: ['States.ALL'] }] }),
    'Plan: a Retry without JitterStrategy FULL',
  ],
  ['no time limit', drop('TimeoutSeconds'), 'Plan: no TimeoutSeconds'],
  [
    'more time than the function has',
    (s) => Object.assign(s.Check!, { TimeoutSeconds: 900 }),
    'Check: waits 900 s for at most 60 s of work',
  ],
  ['no Catch', drop('Catch'), 'Plan: no Catch of States.ALL'],
  [
    'a Catch of some errors only',
    (s) => Object.assign(s.Plan!, { Catch: [{ ErrorEquals: ['HF_X'], ResultPath: '$.error', Next: 'RecordFailure' }] }),
    'Plan: no Catch of States.ALL',
  ],
  [
    'a Catch that keeps no record',
    (s) => Object.assign(s.Plan!, { Catch: [{ ErrorEquals: ['States.ALL'], ResultPath: '$.error', Next: 'Copy' }] }),
    'Plan: its Catch leads to Copy, which keeps no record',
  ],
  [
    'a message whose failure leaves something out',
    (s) => Object.assign(s.NotifyFailure!, { Next: 'RecordFailure' }),
    'NotifyFailure: its Catch leads to Failed, not on to RecordFailure',
  ],
  [
    'a Catch that forgets its input',
    (s) => Object.assign(s.Plan!, { Catch: [{ ErrorEquals: ['States.ALL'], Next: 'RecordFailure' }] }),
    'Plan: a Catch without ResultPath forgets what it was about',
  ],
  ['a Map without a Catch', (s) => Object.assign(s.Copy!, { Catch: undefined }), 'Copy: no Catch of States.ALL'],
  ['a Choice without a Default', (s) => Object.assign(s.Planned!, { Default: undefined }), 'Planned: no Default'],
  [
    'a name that is not in the catalogue',
    (s) => Object.assign(s.Plan!, { Resource: ['$', '{plam}'].join('') }),
    'plam} is not in the catalogue',
  ],
  [
    'a handler that nothing calls',
    (s) => Object.assign(s.Plan!, { Resource: s.Check!.Resource }),
    "the catalogue's plan is not in the definition",
  ],
  [
    'no time limit of the whole',
    (_, m) => Object.assign(m, { TimeoutSeconds: undefined }),
    'the definition has no TimeoutSeconds',
  ],
])('%s fails the check', (_, change, problem) => {
  const machine = structuredClone(readDefinition('backup')) as Machine;
  change(machine.States as never, machine as never);
  expect(checkWorkflow(workflowEntry('backup'), machine).join('\n')).toContain(problem);
  expect(checkWorkflow(workflowEntry('backup'), machine)).not.toEqual([]);
});

test('a handler that is not on disk, or wants more than Lambda gives, fails the check', () => {
  const entry = workflowEntry('backup');
  const plan = { ...entry.handlers.plan!, entry: 'functions/backup/plam.ts', seconds: 901 };
  const problems = checkWorkflow({ ...entry, handlers: { ...entry.handlers, plan } }, readDefinition('backup'));
  expect(problems).toEqual([
    'there is no functions/backup/plam.ts',
    'functions/backup/plam.ts has 901 s; Lambda allows 900',
  ]);
});
