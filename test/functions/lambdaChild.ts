/** What Lambda is to a function: a process with its environment, which loads a module and calls its handler. */
interface Call {
  readonly module: string;
  readonly event: unknown;
  /** Of this function. Other functions are other modules, which read theirs once too. */
  readonly env: Readonly<Record<string, string>>;
}

process.on('message', async ({ module, event, env }: Call) => {
  for (const name of Object.keys(process.env)) if (name.startsWith('HOLDFAST_')) delete process.env[name];
  Object.assign(process.env, env);
  const { handler } = (await import(module)) as { handler: (event: unknown, context: unknown) => Promise<unknown> };
  const context = {
    functionName: 'holdfast-test',
    functionVersion: '1',
    memoryLimitInMB: '1024',
    invokedFunctionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:holdfast-test',
    awsRequestId: crypto.randomUUID(),
    getRemainingTimeInMillis: () => 300_000,
  };
  try {
    process.send!({ answer: await handler(event, context) });
  } catch (error) {
    process.send!({ error: { name: (error as Error).name, message: (error as Error).message } });
  }
});
