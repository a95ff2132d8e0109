/** What Lambda is to a function: a process with an environment, which loads a module and calls its handler. */
interface Call {
  readonly module: string;
  readonly event: unknown;
}

process.on('message', async ({ module, event }: Call) => {
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
