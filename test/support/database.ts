import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { connect, ident } from '../../core/sql.ts';

export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  /** A new connection with Holdfast's pinned settings, closed by `drop`. */
  client(): Promise<pg.Client>;
  drop(): Promise<void>;
}

/**
 * A database of its own for one test, cloned from `template` when given.
 * `serverUrl` defaults to the server that the Jest global setup started; proof suites pass their own.
 */
export async function createDatabase(
  options: { template?: string; prefix?: string; serverUrl?: string } = {},
): Promise<TestDatabase> {
  const serverUrl = options.serverUrl ?? process.env.HOLDFAST_TEST_URL;
  if (!serverUrl) throw new Error('no server: run under Jest, or pass serverUrl');
  const name = `${options.prefix ?? 'test'}_${randomBytes(5).toString('hex')}`;
  const admin = await connect(serverUrl, 'holdfast-test-admin');
  const template = options.template ? ` template ${ident(options.template)}` : '';
  await admin.query(`create database ${ident(name)}${template}`);
  await admin.end();

  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const clients: pg.Client[] = [];
  return {
    name,
    url: url.href,
    async client() {
      const client = await connect(url.href, 'holdfast-test');
      clients.push(client);
      return client;
    },
    async drop() {
      await Promise.all(clients.map((client) => client.end()));
      const dropper = await connect(serverUrl, 'holdfast-test-admin');
      await dropper.query(`drop database if exists ${ident(name)} with (force)`);
      await dropper.end();
    },
  };
}
