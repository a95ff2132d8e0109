/** What the stacks of one installation call each other's things: worked out from names, so that no stack reads another's output. */
import { Token } from 'aws-cdk-lib';
import { SynthError } from './synthError.ts';

const NAME = /^[a-z][a-z0-9-]{1,18}[a-z0-9]$/;

export interface InstallationProps {
  /** 3 to 20 lower-case letters, digits and hyphens. @default 'holdfast' */
  readonly name?: string;
  /** Twelve digits. */
  readonly account: string;
  /** Where the database is, such as `eu-central-1`. */
  readonly primaryRegion: string;
  /** Where copies go; another one. @default none */
  readonly secondaryRegion?: string;
}

/** @throws SynthError when it would not fit into the names of buckets */
export function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw new SynthError('name', '3 to 20 lower-case letters, digits and hyphens, beginning with a letter', name);
}

/** One installation of Holdfast: a name, an account, its regions. */
export class Installation {
  readonly name: string;
  readonly account: string;
  readonly primaryRegion: string;
  readonly secondaryRegion: string | undefined;

  /** @throws SynthError when a name would not fit into the names of buckets, or a region is a token */
  constructor({ name = 'holdfast', account, primaryRegion, secondaryRegion }: InstallationProps) {
    checkName(name);
    if (Token.isUnresolved(account) || !/^\d{12}$/.test(account)) {
      throw new SynthError('account', 'an account id of twelve digits, known at synthesis', account);
    }
    for (const region of [primaryRegion, secondaryRegion]) {
      if (region !== undefined && (Token.isUnresolved(region) || !/^[a-z]{2}(-[a-z]+)+-\d$/.test(region))) {
        throw new SynthError('region', 'a region such as eu-central-1, known at synthesis', region);
      }
    }
    if (secondaryRegion === primaryRegion) {
      throw new SynthError('secondaryRegion', `another region than ${primaryRegion}`, secondaryRegion);
    }
    this.name = name;
    this.account = account;
    this.primaryRegion = primaryRegion;
    this.secondaryRegion = secondaryRegion;
  }

  /** The bucket of backups in a region. */
  vaultName(region: string): string {
    return `${this.name}-vault-${this.account}-${region}`;
  }

  /** The table of person keys; it has the same name in every region. */
  get personKeyTable(): string {
    return `${this.name}-person-keys`;
  }

  /** A role of the air-gapped account; the bucket that it reads lets in nothing else of that account. */
  pullRole(handler: string): string {
    return `${this.name}-air-gap-${handler}`;
  }

  /** `/holdfast/<name>/<what>` in Parameter Store: for people and programs that look, never for another stack. */
  parameter(what: string): string {
    return `/holdfast/${this.name}/${what}`;
  }
}
