/** What S3 says of its replication, and what RDS is asked, against servers that speak their protocols. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { RdsSnapshots } from '../../adapters/aws/rdsSnapshots.ts';
import { S3Replicas } from '../../adapters/aws/s3Replicas.ts';

const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
});

type Answer = { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: string };

/** Notes what is asked, and answers it. */
async function serve(answer: (path: string, body: URLSearchParams) => Answer): Promise<string> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      const {
        status = 200,
        headers = {},
        body = '',
      } = answer(request.url!, new URLSearchParams(Buffer.concat(pieces).toString()));
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a replica is complete when every object is; late after an hour; none where nothing is replicated', async () => {
  const status = new Map([
    ['/vault/copies/a', 'COMPLETED'],
    ['/vault/copies/b', 'PENDING'],
  ]);
  const endpoint = await serve((path) => ({ headers: { 'x-amz-replication-status': status.get(path)! } }));
  const config = { endpoint, forcePathStyle: true, region: 'eu-central-1', credentials };
  const replicas = new S3Replicas({ store: 's3://vault/copies', replica: 's3://there/', config });
  const now = Date.now();
  expect(await replicas.state(['a', 'b'], now)).toBe('pending');
  expect(await replicas.state(['a', 'b'], now - 7_200_000)).toBe('late');
  status.set('/vault/copies/b', 'COMPLETED');
  expect(await replicas.state(['a', 'b'], now)).toBe('complete');
  expect(await new S3Replicas({ store: 's3://vault/', replica: undefined }).state(['a'], now)).toBe('none');
});

const OURS = `holdfast-${'1'.repeat(40)}`;
/** Of another installation, for another database of the same account. */
const OTHERS = `holdfast-${'2'.repeat(40)}`;

/** RDS in one region: clusters' snapshots by id. */
function region(name: string, snapshots: Map<string, string>, asked: URLSearchParams[]) {
  const xml = (action: string, body: string): Answer => ({
    headers: { 'content-type': 'text/xml' },
    body: `<${action}Response><${action}Result>${body}</${action}Result></${action}Response>`,
  });
  const refusal = (code: string): Answer => ({
    status: 400,
    headers: { 'content-type': 'text/xml' },
    body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`,
  });
  return serve((_, body) => {
    asked.push(body);
    const action = body.get('Action')!;
    if (action === 'CopyDBClusterSnapshot') {
      const id = body.get('TargetDBClusterSnapshotIdentifier')!;
      if (snapshots.has(id)) return refusal('DBClusterSnapshotAlreadyExistsFault');
      snapshots.set(id, 'copying');
      return xml(action, '');
    }
    if (action === 'DeleteDBClusterSnapshot') {
      const gone = snapshots.delete(body.get('DBClusterSnapshotIdentifier')!);
      return gone ? xml(action, '') : refusal('DBClusterSnapshotNotFoundFault');
    }
    const list = [...snapshots].map(
      ([id, status]) =>
        `<DBClusterSnapshot><DBClusterSnapshotIdentifier>${id}</DBClusterSnapshotIdentifier><Status>${status}</Status>` +
        `<DBClusterIdentifier>${id === OTHERS ? 'other' : 'app'}</DBClusterIdentifier>` +
        `<SnapshotCreateTime>2026-11-0${name === 'here' ? 1 : 2}T00:00:00Z</SnapshotCreateTime></DBClusterSnapshot>`,
    );
    return xml(action, `<DBClusterSnapshots>${list.join('')}</DBClusterSnapshots>`);
  });
}

test('snapshots are copied once, under the key of the other region, and only our own are listed and removed', async () => {
  const [here, there] = [
    new Map([
      [OURS, 'available'],
      [OTHERS, 'available'],
      ['holdfast-before-the-upgrade', 'available'],
      ['holdfast-example-database-snapshot-1', 'available'],
    ]),
    new Map<string, string>(),
  ];
  const asked: URLSearchParams[] = [];
  const endpoints: Record<string, string> = {
    'eu-central-1': await region('here', here, []),
    'eu-west-1': await region('there', there, asked),
  };
  const config = {
    region: 'eu-central-1',
    credentials,
    endpointProvider: ({ Region }: { Region?: string }) => ({ url: new URL(endpoints[Region!]!) }),
  } as never;
  const key = 'arn:aws:kms:eu-west-1:111122223333:key/other';
  const service = new RdsSnapshots({ region: 'eu-west-1', key, config });
  const arn = `arn:aws:rds:eu-central-1:111122223333:cluster-snapshot:${OURS}`;
  expect(await service.copy('cluster', OURS, arn)).toBe('copying');
  const copy = asked.find((body) => body.get('Action') === 'CopyDBClusterSnapshot')!;
  expect(copy.get('SourceDBClusterSnapshotIdentifier')).toBe(arn);
  expect(copy.get('KmsKeyId')).toBe(key);
  // Signed for the region of the source, where the snapshot may be read.
  expect(copy.get('PreSignedUrl')).toContain('eu-central-1');
  there.set(OURS, 'available');
  expect(await service.copy('cluster', OURS, arn)).toBe('available');
  expect(asked.filter((body) => body.get('Action') === 'CopyDBClusterSnapshot')).toHaveLength(1);
  const all = await service.list('cluster', 'App');
  expect(all.map(({ region, id }) => `${region} ${id}`)).toEqual([`eu-central-1 ${OURS}`, `eu-west-1 ${OURS}`]);
  for (const snapshot of [...all, ...all]) await service.remove('cluster', snapshot);
  expect([[...here.keys()], [...there.keys()]]).toEqual([
    [OTHERS, 'holdfast-before-the-upgrade', 'holdfast-example-database-snapshot-1'],
    [],
  ]);
  expect(await new RdsSnapshots({ region: undefined, key: undefined, config }).copy('cluster', 'x', arn)).toBe('none');
});
