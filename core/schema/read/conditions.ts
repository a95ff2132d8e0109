/** Conditions that every reader query shares: whose objects are the user's own. */

/** A namespace of the user: not the server's, not Holdfast's. */
export const userSchema = (alias: string): string =>
  `${alias}.nspname !~ '^pg_' and ${alias}.nspname not in ('information_schema', 'holdfast')`;

/** Not a member of an extension, which brings its objects along. */
export const notFromExtension = (catalog: string, oid: string): string =>
  `not exists (select from pg_depend ext where ext.classid = '${catalog}'::regclass and ext.objid = ${oid} and ext.deptype = 'e')`;

export const OWN_CLASS = `${userSchema('n')} and ${notFromExtension('pg_class', 'c.oid')}`;
