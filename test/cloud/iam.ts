/** The few calls of IAM that are needed here, without a client of their own in the project. */
import { ACCOUNT } from './emulator.ts';
import type { CloudWorld } from './world.ts';

async function call(
  { emulator }: CloudWorld,
  Action: string,
  parameters: Readonly<Record<string, string>>,
): Promise<string> {
  const answer = await fetch(emulator.endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      // The emulator reads service and account from it and checks no signature.
      authorization: `AWS4-HMAC-SHA256 Credential=${ACCOUNT}/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: new URLSearchParams({ Action, Version: '2010-05-08', ...parameters }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${Action}: ${text}`);
  return text;
}

export const iam = {
  /** ARNs. */
  async roles(world: CloudWorld): Promise<string[]> {
    const text = await call(world, 'ListRoles', { MaxItems: '1000' });
    return [...text.matchAll(/<Arn>([^<]+)<\/Arn>/g)].map((match) => match[1]!);
  },

  async allows(world: CloudWorld, role: string, action: string, resource: string): Promise<boolean> {
    const text = await call(world, 'SimulatePrincipalPolicy', {
      PolicySourceArn: role,
      'ActionNames.member.1': action,
      'ResourceArns.member.1': resource,
    });
    const [, decision] = /<EvalDecision>(\w+)<\/EvalDecision>/.exec(text) ?? [];
    if (decision === undefined) throw new Error(`No decision in ${text}`);
    return decision === 'allowed';
  },
};
