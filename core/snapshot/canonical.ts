/**
 * Canonical JSON: object keys in UTF-16 code unit order, no white space, as RFC 8785 for the values that occur here
 * (strings, booleans, null, safe integers). Signatures and encryption contexts are taken over these bytes, so another
 * implementation has to be able to produce them again.
 */
export function canonicalJson(value: unknown): string {
  // A manifest of many slabs is megabytes; written by the engine itself it takes a tenth of the time.
  return isInOrder(value) ? JSON.stringify(value) : inOrder(value);
}

/** Whether `JSON.stringify` would write it canonically. Keys that look like numbers come first in objects, whatever their order. */
function isInOrder(value: unknown): boolean {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return true;
  if (typeof value === 'number') return Number.isSafeInteger(value);
  if (Array.isArray(value)) return value.every(isInOrder);
  if (typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return false;
  let last = '';
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key];
    if (key < last || (member !== undefined && !isInOrder(member))) return false;
    last = key;
  }
  return true;
}

function inOrder(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new TypeError(`canonical JSON holds safe integers only, got ${value}`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value as Record<string, unknown>)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
  }
  throw new TypeError(`canonical JSON has no ${typeof value}`);
}

/** The bytes that a signature is over: the canonical JSON of everything but the signature. */
export function signedBytes(document: object): Buffer {
  return Buffer.from(canonicalJson({ ...document, signature: undefined }));
}
