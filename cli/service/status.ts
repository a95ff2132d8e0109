/** What the service says of itself over HTTP, on this machine only: JSON, read-only. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type pg from 'pg';
import type { SchedulerStatus } from '../../adapters/local/scheduler.ts';
import { ConfigError } from '../../core/errors.ts';
import { explain } from '../../core/explain.ts';
import { listRuns } from '../../core/schedules/runs.ts';
import { listSchedules } from '../../core/schedules/store.ts';
import { toJson } from '../output.ts';
import { runJson, scheduleJson } from '../scheduleReport.ts';
import { health } from './health.ts';

export interface StatusProps {
  readonly port: number;
  readonly startedAt: number;
  readonly scheduler: () => SchedulerStatus;
  readonly withDatabase: <T>(work: (client: pg.Client) => Promise<T>) => Promise<T>;
}

const HOST = '127.0.0.1';
/** A page in a browser that was led here under another name is not answered. */
const LOCAL = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;

type Answer = { readonly code: number; readonly body: unknown };

/** @throws ConfigError HF_PORT_TAKEN */
export async function startStatus(props: StatusProps): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    answer(props, request)
      .catch((error: unknown): Answer => ({ code: 503, body: { error: explain(error) ?? { message: String(error) } } }))
      .then(({ code, body }) => {
        response.writeHead(code, { 'content-type': 'application/json', 'cache-control': 'no-store' });
        response.end(`${toJson(body)}\n`);
      });
  });
  await listen(server, props.port);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${HOST}:${port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      fail(
        new ConfigError('HF_PORT_TAKEN', `Port ${port} cannot be listened on: ${cause.code}.`, {
          cause,
          action: 'Pass another with --port, or 0 for any that is free.',
          details: { port },
        }),
      );
    });
    server.listen(port, HOST, done);
  });
}

async function answer(props: StatusProps, request: IncomingMessage): Promise<Answer> {
  if (!LOCAL.test(request.headers.host ?? '')) return { code: 403, body: { error: 'Only this machine is answered.' } };
  if (request.method !== 'GET') return { code: 405, body: { error: 'Only GET is answered.' } };
  const path = new URL(request.url ?? '/', 'http://localhost').pathname;
  switch (path) {
    case '/health':
      return props.withDatabase(async (client) => {
        const body = await health(client, props, Date.now());
        return { code: body.status === 'failing' ? 503 : 200, body };
      });
    case '/schedules':
      return props.withDatabase(async (client) => {
        const schedules = await listSchedules(client);
        return { code: 200, body: { schedules: schedules.map(scheduleJson) } };
      });
    case '/executions':
      return props.withDatabase(async (client) => {
        const runs = await listRuns(client, { limit: 100 });
        return { code: 200, body: { executions: runs.map(runJson) } };
      });
    default:
      return { code: 404, body: { error: 'There are /health, /schedules and /executions.' } };
  }
}
