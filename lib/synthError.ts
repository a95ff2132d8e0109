/** A prop that cannot be: said at synthesis, not by CloudFormation half an hour later. */
export class SynthError extends Error {
  override readonly name = 'SynthError';
  /** @param got what was given; shown as it is, so never pass a secret */
  constructor(prop: string, expected: string, got: unknown) {
    super(`${prop}: expected ${expected}; got ${got === undefined ? 'nothing' : JSON.stringify(got)}.`);
  }
}
