/** The process that is killed: runs one execution that its parent names, or goes on with it, and strikes itself where it is told. */
import { openEngine, openTaskContext } from './world.ts';

export interface Job {
  readonly directory: string;
  readonly databaseUrl: string;
  readonly workflow: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly id: string;
  /** before or after the work of that state; during: so many milliseconds into it */
  readonly strike?: { readonly state: string; readonly when: 'before' | 'after' | number };
}

process.once('message', async (job: Job) => {
  const { strike } = job;
  const die = () => process.kill(process.pid, 'SIGKILL');
  const ctx = await openTaskContext(job.directory, job.databaseUrl, job.workflow);
  const engine = await openEngine(job.directory, ctx, async ({ state, run }) => {
    if (state !== strike?.state) return run();
    if (strike.when === 'before') die();
    if (typeof strike.when === 'number') setTimeout(die, strike.when);
    const answer = await run();
    if (strike.when === 'after') die();
    return answer;
  });
  const ended = await engine.ended(await engine.start(job.workflow, job.input, { id: job.id }));
  await engine.close();
  process.send!(ended, () => process.disconnect());
});
