/** The section `keys:` of holdfast.yaml: the path of a key file, or keys in KMS. */
import { isMap } from 'yaml';
import type { Entry, Reader } from './nodes.ts';

export interface KmsSetting {
  /** ARN of the key that wraps; of a multi-region key, that of any replica. */
  readonly root: string;
  /** ARNs of the keys that sign, newest first: the first signs, all verify. */
  readonly signing: readonly [string, ...string[]];
  /** ARNs of root keys that were replaced; they only unwrap. */
  readonly former: readonly string[];
}

/** @returns undefined when `keys:` names a key file, or is not there */
export function parseKms(reader: Reader, at: Entry | undefined): KmsSetting | undefined {
  if (!at || !isMap(at.value)) return undefined;
  const fields = reader.fields(at.value, 'a key file, or keys in KMS', ['kms', 'signing', 'former']);
  const list = (name: string) =>
    fields.has(name) ? reader.texts(fields.get(name)!.value, 'a list of ARNs').map(({ text }) => text) : [];
  const [first, ...older] = list('signing');
  if (!fields.has('kms')) reader.fail(at.node, '"kms:" with the ARN of the root key', 'none');
  if (first === undefined) return reader.fail(at.node, '"signing:" with the ARNs of the signing keys', 'none');
  return {
    root: reader.text(fields.get('kms')!.value, 'the ARN of a key'),
    signing: [first, ...older],
    former: list('former'),
  };
}
