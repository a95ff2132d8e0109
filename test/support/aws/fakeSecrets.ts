/** A Secrets Manager that runs here: one secret, and what it was asked. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export class FakeSecrets {
  readonly arn = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:database-AbCdEf';
  /** Answered in turn; the last one again and again. */
  values: string[];
  asked = 0;
  readonly #server: Server;

  private constructor(values: string[]) {
    this.values = values;
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece) => pieces.push(piece));
      request.on('end', () => {
        const { SecretId } = JSON.parse(Buffer.concat(pieces).toString()) as { SecretId: string };
        response.setHeader('content-type', 'application/x-amz-json-1.1');
        if (SecretId !== this.arn) {
          response.statusCode = 400;
          response.end(JSON.stringify({ __type: 'ResourceNotFoundException', message: 'no such secret' }));
          return;
        }
        const value = this.values[Math.min(this.asked++, this.values.length - 1)];
        response.end(JSON.stringify({ ARN: this.arn, SecretString: value }));
      });
    });
  }

  static async start(...values: string[]): Promise<FakeSecrets> {
    const fake = new FakeSecrets(values);
    await new Promise<void>((done) => fake.#server.listen(0, '127.0.0.1', done));
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop = (): Promise<unknown> => new Promise((done) => this.#server.close(done));
}
