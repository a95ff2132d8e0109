/** `npm run test:cloud`: deploys the stacks to an emulator of AWS and drives them. Exits 1 when anything is not as it should be. */
import { airGappedCopy } from './airGap.ts';
import { check } from './checks.ts';
import { filesAreKept } from './files.ts';
import { lintTemplates } from './lint.ts';
import { NOT_EMULATED } from './notEmulated.ts';
import { backupIsMade, copyIsComplete, restoreFromCopy, restoreTenantByWorkflow, storeIsValid } from './protect.ts';
import { disabledKeyStops, objectsStay, rightsAreFew, strangerIsRefused } from './refuse.ts';
import { missingIsNoticed, tenantSchedules } from './schedules.ts';
import { lastWords, makeCloudWorld } from './world.ts';

const world = await makeCloudWorld(check);
let failed = false;
try {
  await check('a backup that has not come is noticed, once', () => missingIsNoticed(world));
  const backup = await check("a schedule's target fires; backup through Step Functions and Lambda", () =>
    backupIsMade(world),
  );
  await check("users' files: a bucket through the workflow, changed, and back", () => filesAreKept(world));
  await check('every object is in the other region, byte for byte', () => copyIsComplete(world));
  await check('integrity-check finds nothing wrong', () => storeIsValid(world));
  await check('restore: asked for, approved, applied, by digest', () => restoreTenantByWorkflow(world, backup));
  await check('the other region alone restores everything, by digest', () => restoreFromCopy(world, backup));
  await check('another account pulls everything, and its copy is whole', () => airGappedCopy(world));
  await check("a tenant's schedule: made, changed, run and removed by the command line", () => tenantSchedules(world));
  await check('a disabled key stops a backup, and the next one goes on', () => disabledKeyStops(world));
  await check('objects can be neither overwritten nor deleted', () => objectsStay(world));
  await check('deployed roles, asked of the policy simulator', () => rightsAreFew(world));
  await check('a server with a certificate of someone else is not spoken to', () => strangerIsRefused(world));
  await check('CloudFormation schema linter', () => lintTemplates(world));
} catch (error) {
  failed = true;
  console.error(error);
  console.error(await lastWords(world));
  if (process.argv.includes('--keep')) console.error(`Kept: ${world.directory}, ${world.emulator.endpoint}`);
} finally {
  if (!(failed && process.argv.includes('--keep'))) await world.close();
}
console.log('\nNot run by the emulator:');
for (const { what, why, checked } of NOT_EMULATED) console.log(`- ${what}: ${why}. Checked in ${checked}.`);
process.exitCode = failed ? 1 : 0;
