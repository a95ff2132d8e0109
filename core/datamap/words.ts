/** Names as words, so that `customerAccounts`, `customer_account` and `CUSTOMER-ACCOUNT` are the same. */

const IRREGULAR: Record<string, string> = {
  people: 'person',
  children: 'child',
  mandanten: 'mandant',
  kunden: 'kunde',
  patienten: 'patient',
  firmen: 'firma',
  organizaciones: 'organizacion',
};

export function words(name: string): string[] {
  return name
    .normalize('NFC')
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1 $2')
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((word) => word !== '');
}

export function singular(word: string): string {
  if (IRREGULAR[word]) return IRREGULAR[word];
  if (/ies$/.test(word) && word.length > 4) return `${word.slice(0, -3)}y`;
  if (/(ss|x|ch|sh)es$/.test(word)) return word.slice(0, -2);
  return /[^suin]s$/.test(word) || /ns$/.test(word) ? word.slice(0, -1) : word;
}

/** Decoration that says nothing about what a table holds. */
const DECORATION = new Set(['tbl', 'table', 'tab', 't', 'app', 'data', 'record', 'model']);

/** The words of a table name, in the singular, without decoration: `tbl_user_accounts` is user, account. */
export function tableWords(relname: string): string[] {
  const all = words(relname).map(singular);
  const plain = all.filter((word) => !DECORATION.has(word));
  return plain.length > 0 ? plain : all;
}

/** All letters and digits in one: what `organization_id`, `organizationId` and `OrganizationID` share. */
export const squash = (name: string): string => words(name).join('');
