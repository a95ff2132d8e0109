/** Proposes a class for a column from its name and its type. A proposal only: a person reviews it. */
import type { CatalogColumn } from './catalog.ts';
import type { ColumnClass } from './types.ts';
import { singular, words } from './words.ts';

/** What is known of the table when its columns are classed. */
export interface Surroundings {
  /** tenants, persons: the table that has a row for each. owned: rows belong to a person. tenant: to a tenant only. shared: to no one. */
  readonly table: 'tenants' | 'persons' | 'owned' | 'tenant' | 'shared';
  /** Keys, foreign keys, tenant and person columns: rows are found by them, so they cannot be sealed. */
  readonly locates: boolean;
}

const set = (list: string): ReadonlySet<string> => new Set(list.split(/\s+/));

/** GDPR article 9 and 10, children, and what people say in confidence. */
const SENSITIVE = set(
  `health medical medication medicine diagnosis diagnose symptom disease illness treatment therapy prescription allergy
   disability pregnancy pregnant mental mood emotion feeling religion religious faith belief politics political party union
   ethnicity ethnic race racial sexual sexuality orientation biometric fingerprint genetic genome dna criminal conviction
   gesundheit krankheit diagnose konfession glaube religione sante maladie salud`,
);
const PERSONAL = set(
  `email mail mailbox phone telephone mobile cell cellphone fax msisdn whatsapp telegram skype firstname lastname fullname
   surname forename nickname username login handle address street city town zip zipcode postcode postal plz ip birth birthday birthdate born
   dob age gender sex nationality citizenship ssn passport iban bic taxid vatid license licence avatar photo picture portrait selfie
   signature salary wage income latitude longitude lat lng lon geolocation gps device fingerprint useragent agent referer cookie
   vorname nachname geburtstag geburtsdatum telefon handy adresse strasse straße ort wohnort prenom nom correo telefono direccion`,
);
/** Pairs of words that say together what neither says alone. */
const PERSONAL_PAIRS = set(
  `first_name last_name full_name given_name family_name middle_name maiden_name display_name user_name legal_name contact_name
   account_holder card_number card_holder bank_account account_number national_id tax_id tax_number vat_number social_security id_number driver_license user_agent
   place_of job_title emergency_contact`,
);
const FREE_TEXT = set(
  `body content transcript transcription note message comment text diary journal answer reply feedback remark memo reason
   review story confession prompt response conversation chat inhalt notiz bemerkung kommentar nachricht`,
);
const POSTAL = set('address street city town zip zipcode postcode postal plz adresse strasse straße ort direccion');
const SHORT_TEXT = set(
  'name title subject description bio about summary label caption headline filename url link path titel bezeichnung',
);
const SECRETS = set('password passwd passwort pwd secret token apikey salt otp totp mfa hash credential');
const BUSINESS = set(
  `status state type kind code locale language lang timezone zone currency plan role level tier version category slug color colour
   format mime checksum sha256 sha1 md5 etag provider source channel unit priority position rank sort order count number`,
);

const TEXTUAL =
  /^(text|character varying|character|bpchar|json|jsonb|xml|bytea|tsvector|.*\.?"?(citext|hstore)"?)(\[\])*$/;
const NETWORK = /^(inet|cidr|macaddr8?)(\[\])*$/;

export function classify(column: CatalogColumn, around: Surroundings): ColumnClass {
  if (around.locates) return 'internal';
  const plain = words(column.name).map(singular);
  const pairs = plain.slice(1).map((word, i) => `${plain[i]}_${word}`);
  const has = (group: ReadonlySet<string>) => plain.some((word) => group.has(word)) || group.has(plain.join(''));
  const textual = TEXTUAL.test(column.baseType);
  const flag = column.baseType === 'boolean';
  const person = around.table === 'persons' || around.table === 'owned';

  if (around.table === 'shared') return sharedClass(column, plain);
  if (has(SENSITIVE)) return 'sensitive';
  if (NETWORK.test(column.baseType)) return 'personal';
  // `email_verified`, `phone_verified_at`, `address_count`: about the record, not about the person.
  const about = flag || /^(timestamp|time |interval|smallint|integer|bigint)/.test(column.baseType);
  const birth = plain.some((word) => /^(birth|birthday|birthdate|born|dob|age|geburtstag|geburtsdatum)$/.test(word));
  // An organisation's own address is no one's home.
  if (around.table === 'tenants' && plain.some((word) => POSTAL.has(word))) return 'internal';
  if (birth || (!about && (has(PERSONAL) || pairs.some((pair) => PERSONAL_PAIRS.has(pair))))) return 'personal';
  if (textual && has(SECRETS)) return person ? 'personal' : 'internal';
  if (textual && has(FREE_TEXT)) return person ? 'sensitive' : 'personal';
  if (column.typeKind === 'e' || !textual) return 'internal';
  if (has(SHORT_TEXT)) return person ? 'personal' : 'internal';
  // Text of unknown meaning in a row about a person is taken to be about that person, unless it names a business concept.
  return person && !has(BUSINESS) ? 'personal' : 'internal';
}

/** Shared tables are the product's own: countries, plans, feature flags. Only what names a person outright stands out. */
function sharedClass(column: CatalogColumn, plain: readonly string[]): ColumnClass {
  const outright = plain.some((word) =>
    ['email', 'phone', 'ssn', 'iban', 'passport', 'birthday', 'dob'].includes(word),
  );
  return (outright && TEXTUAL.test(column.baseType)) || NETWORK.test(column.baseType) ? 'personal' : 'none';
}
