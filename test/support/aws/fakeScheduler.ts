/** EventBridge Scheduler that runs here: its protocol and its refusals; it fires nothing. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

// biome-ignore lint/suspicious/noExplicitAny: the bodies of many operations
type Body = Record<string, any>;

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, name: string, message: string) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

const invalid = (message: string) => new Refusal(400, 'ValidationException', message);

export class FakeScheduler {
  readonly schedules = new Map<string, Body>();
  /** Operations in the order in which they came. */
  readonly calls: string[] = [];
  /** Refuses the next calls by this name. */
  refuse: { status: number; name: string } | undefined;
  readonly #groups: ReadonlySet<string>;
  readonly #server: Server;

  private constructor(groups: readonly string[]) {
    this.#groups = new Set(groups);
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece) => pieces.push(piece));
      request.on('end', () => {
        response.setHeader('content-type', 'application/json');
        try {
          const text = Buffer.concat(pieces).toString();
          const url = new URL(request.url!, 'http://localhost');
          const body = text === '' ? {} : (JSON.parse(text) as Body);
          response.end(JSON.stringify(this.#answer(request.method!, url, body)));
        } catch (error) {
          const { name, message, status = 500 } = error as Refusal;
          response.statusCode = status;
          response.setHeader('x-amzn-errortype', name);
          response.end(JSON.stringify({ Message: message }));
        }
      });
    });
  }

  static async start(...groups: string[]): Promise<FakeScheduler> {
    const fake = new FakeScheduler(groups);
    await new Promise<void>((done) => fake.#server.listen(0, '127.0.0.1', done));
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get config() {
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    return { endpoint: this.endpoint, region: 'eu-central-1', credentials, maxAttempts: 1 };
  }

  stop = () => new Promise((done) => this.#server.close(done));

  #answer(method: string, url: URL, body: Body): Body {
    const name = decodeURIComponent(/^\/schedules\/([^/]+)$/.exec(url.pathname)?.[1] ?? '');
    const group = method === 'DELETE' ? url.searchParams.get('groupName') : body.GroupName;
    this.calls.push(`${method} ${name}`);
    if (this.refuse) throw new Refusal(this.refuse.status, this.refuse.name, 'refused');
    if (!/^[0-9a-zA-Z\-_.]{1,64}$/.test(name)) throw invalid(`name ${name}`);
    if (!this.#groups.has(group))
      throw new Refusal(404, 'ResourceNotFoundException', `Schedule group ${group} does not exist.`);
    const there = this.schedules.has(name);
    if (method === 'POST' && there) throw new Refusal(409, 'ConflictException', `${name} exists.`);
    if (method !== 'POST' && !there)
      throw new Refusal(404, 'ResourceNotFoundException', `Schedule ${name} does not exist.`);
    if (method === 'DELETE') {
      this.schedules.delete(name);
      return {};
    }
    check(body);
    this.schedules.set(name, body);
    return { ScheduleArn: `arn:aws:scheduler:eu-central-1:111122223333:schedule/${group}/${name}` };
  }
}

function check({ ScheduleExpression, ScheduleExpressionTimezone, FlexibleTimeWindow, State, Target }: Body): void {
  const fields = /^cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)$/.exec(ScheduleExpression)?.slice(1);
  if (!fields || ScheduleExpression.length > 256) throw invalid(`expression ${ScheduleExpression}`);
  const [minute, hour, day, month, weekday, year] = fields as [string, string, string, string, string, string];
  const numbers = (field: string, from: number, to: number) =>
    field === '*' ||
    field.split(',').every((part) => {
      const bounds = part.split('-').map(Number);
      return bounds.length <= 2 && bounds.every((n) => n >= from && n <= to) && bounds[0]! <= bounds.at(-1)!;
    });
  const days = (day === '?') !== (weekday === '?');
  const named =
    weekday === '?' || weekday === '*' || weekday.split(',').every((d) => /^(SUN|MON|TUE|WED|THU|FRI|SAT)$/.test(d));
  if (!days || !named || year !== '*' || (day !== '?' && !numbers(day, 1, 31)))
    throw invalid(`days of ${ScheduleExpression}`);
  if (!numbers(minute, 0, 59) || !numbers(hour, 0, 23) || !numbers(month, 1, 12)) throw invalid(ScheduleExpression);
  if (!Intl.supportedValuesOf('timeZone').concat('UTC').includes(ScheduleExpressionTimezone))
    throw invalid('time zone');
  const { Mode, MaximumWindowInMinutes: window } = FlexibleTimeWindow ?? {};
  const flexible = Mode === 'FLEXIBLE' && Number.isInteger(window) && window >= 1 && window <= 1440;
  if (!flexible && !(Mode === 'OFF' && window === undefined)) throw invalid('window');
  if (!['ENABLED', 'DISABLED'].includes(State)) throw invalid('state');
  if (!/^arn:aws:states:[\w-]+:\d{12}:stateMachine:[\w-]{1,80}$/.test(Target?.Arn)) throw invalid('target');
  if (!/^arn:aws:iam::\d{12}:role\/.+$/.test(Target.RoleArn)) throw invalid('role');
  if (!/^arn:aws:sqs:/.test(Target.DeadLetterConfig?.Arn)) throw invalid('queue');
  const { MaximumEventAgeInSeconds: age, MaximumRetryAttempts: retries } = Target.RetryPolicy ?? {};
  if (!(age >= 60 && age <= 86_400 && retries >= 0 && retries <= 185)) throw invalid('retries');
  JSON.parse(Target.Input);
}
