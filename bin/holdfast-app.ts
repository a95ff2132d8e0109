/** The CDK app: `cdk.json` runs it. What it is told stands there as `holdfast:…`; docs/deploy.md says what each is. */
import { App } from 'aws-cdk-lib';
import { bundleSizes } from '../lib/bundleSizes.ts';
import { addStacks } from '../lib/holdfastApp.ts';

process.env.JSII_DEPRECATED ??= 'quiet'; // the library warns of its own older parts
const app = new App();
addStacks(app);
app.synth();
for (const [entry, bytes] of bundleSizes(app))
  console.error(`${String(Math.ceil(bytes / 1024)).padStart(6)} KiB  ${entry}`);
