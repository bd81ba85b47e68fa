import type { ConfigTree } from '../../config/tree.ts';
import { announce } from './announce.svelte.ts';
import { model } from './model.svelte.ts';
import { go } from './navigation.svelte.ts';
import { run } from './run.svelte.ts';
import { starting } from './starting.svelte.ts';
import { ask } from './workers.svelte.ts';

/** A checkpoint made elsewhere becomes a run of this page, shown where runs are. */
export async function openCheckpoint(file: File): Promise<void> {
  const summary = await ask('model', 'openCheckpoint', { file, name: file.name });
  if (!summary) return;
  await run.load();
  model.choose(summary.id);
  await model.read();
  if (!run.active) await run.open(summary.id);
  announce(`${file.name} is open as a run.`);
  go('train');
}

/** Its weights are what the next run starts from. */
export async function startFromFile(file: File, settings: ConfigTree): Promise<void> {
  if (await starting.chooseFile(file, settings)) {
    if (!run.active) run.close();
    go('train');
  }
}
