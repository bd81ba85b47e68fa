import type { RunSummary } from '../../workers/protocol.ts';
import { announce } from './announce.svelte.ts';
import { during, model } from './model.svelte.ts';
import { go } from './navigation.svelte.ts';
import { run } from './run.svelte.ts';
import { ask } from './workers.svelte.ts';

/** Somebody's trained model, the zip of a demo page: it becomes a run of this page, and Try shows it. A failure is shown. */
export async function openModel(file: Blob, name: string): Promise<RunSummary | undefined> {
  const summary = await during('opening the model', () => ask('model', 'openModel', { file, name }));
  if (!summary) return undefined;
  await run.load();
  model.choose(summary.id);
  await model.read();
  announce(`The model of ${name} is open.`);
  go('try');
  return summary;
}
