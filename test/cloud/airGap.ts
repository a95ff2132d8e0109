/** The other account: its stack, deployed with credentials of its own, and its workflow, which pulls. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GetBucketPolicyCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { S3Store } from '../../adapters/aws/s3Store.ts';
import { publicKeyFile } from '../../core/history/seal/publicKeys.ts';
import { setBucketProperties } from './bucketProperties.ts';
import { contextIn } from './context.ts';
import { deployer, withVariables } from './deploy.ts';
import { ended } from './executions.ts';
import { digestsOf } from './protect.ts';
import { AIR_GAPPED_ACCOUNT, type CloudWorld, PRIMARY, SECONDARY } from './world.ts';

export async function airGappedCopy(world: CloudWorld): Promise<void> {
  const { store, keys } = contextIn(world, PRIMARY);
  const publicKeys = join(world.directory, 'public-keys.pem');
  await writeFile(publicKeys, await publicKeyFile(keys));
  const credentials = { accessKeyId: AIR_GAPPED_ACCOUNT, secretAccessKey: 'emulated' };
  const cdk = deployer(join(world.directory, 'air-gap'), {
    ...world.emulator.environment,
    AWS_ACCESS_KEY_ID: AIR_GAPPED_ACCOUNT,
    AWS_REGION: SECONDARY,
    AWS_DEFAULT_REGION: SECONDARY,
  });
  await cdk.bootstrap(`${AIR_GAPPED_ACCOUNT}/${SECONDARY}`);
  const deployed = await cdk.deploy(
    'holdfast-air-gapped',
    { ...world.settings, airGappedAccount: AIR_GAPPED_ACCOUNT, vaultKeyArn: world.primary.vaultKeyArn!, publicKeys },
    withVariables({ HOLDFAST_MAP: world.settings.map!, HOLDFAST_PUBLIC_KEYS: publicKeys }),
  );
  await setBucketProperties(deployed, SECONDARY, { credentials });
  const sfn = new SFNClient({ region: SECONDARY, credentials });
  const pull = async (): Promise<string> => {
    const { executionArn } = await sfn.send(
      new StartExecutionCommand({
        stateMachineArn: `arn:aws:states:${SECONDARY}:${AIR_GAPPED_ACCOUNT}:stateMachine:holdfast-air-gap`,
        input: '{}',
      }),
    );
    return executionArn!;
  };
  const bucket = world.primary.vaultName!;
  // The emulator speaks no TLS, and holds other accounts to what the bucket says of that.
  await changePolicy(bucket, (statement) => (isTls(statement) ? undefined : statement));
  // Functions run as the account here, not as their roles: the bucket lets in the roles and nothing else of that account.
  assert.match((await ended(await pull(), 'FAILED', sfn)).cause ?? '', /HF_STORE_DENIED/);
  await changePolicy(bucket, ({ Condition, ...rest }) => (rest.Effect === 'Allow' ? rest : { Condition, ...rest }));
  await ended(await pull(), 'SUCCEEDED', sfn);
  const copy = S3Store.open(`s3://${deployed.outputs.airGappedVaultName}/`, {
    region: SECONDARY,
    forcePathStyle: true,
    credentials,
  });
  const there = await digestsOf(copy);
  for (const [name, digest] of await digestsOf(store)) {
    if (/^(backups|keys|files\/(content|pages|manifests))\//.test(name)) assert.equal(there.get(name), digest, name);
  }
}

interface Statement {
  readonly Effect: string;
  readonly Condition?: object | undefined;
}

const isTls = ({ Condition }: Statement): boolean => /SecureTransport|TlsVersion/.test(JSON.stringify(Condition ?? {}));

async function changePolicy(Bucket: string, change: (statement: Statement) => Statement | undefined): Promise<void> {
  const s3 = new S3Client({ region: PRIMARY, forcePathStyle: true });
  const { Policy } = await s3.send(new GetBucketPolicyCommand({ Bucket }));
  const policy = JSON.parse(Policy!) as { Statement: Statement[] };
  const Statement = policy.Statement.map(change).filter((statement) => statement !== undefined);
  await s3.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ ...policy, Statement }) }));
}
