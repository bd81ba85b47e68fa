import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asWriteError } from '../platform/node/atomicWrite.ts';
import { cachePlaces } from './cacheFolder.mjs';
import type { Command } from './command.ts';
import { readFlags, refuseWords } from './flags.ts';
import { projectRoot } from './root.ts';
import { count, megabytes } from './words.ts';

export const command: Command = {
  summary:
    'Removes the decoded images, the features of frozen backbones and the measured speeds that are kept for the next time.',
  usage: `npm run clear-cache [-- --weights]

  --weights              downloaded ImageNet weights too

Runs, checkpoints, versions and your own files stay. A training that runs now would lose its images: end it first.
With --no-cache, train and evaluate keep none.`,
  async run(args) {
    const { values, positionals } = readFlags('clear-cache', args, { weights: { type: 'boolean' } });
    refuseWords('clear-cache', positionals);
    const places = cachePlaces(projectRoot());
    await clear(places, 'datasets', 'decoded images');
    await clear(places, 'features', 'features of images', false);
    await clear(places, 'speeds', 'measured speeds', false);
    if (values.weights) await clear(places, 'weights', 'downloaded weights');
    return 0;
  },
};

/** Every place that may have been used, whatever can be written to now. */
async function clear(places: readonly string[], name: string, what: string, sayNone = true): Promise<void> {
  let removed = 0;
  for (const folder of places.map((place) => join(place, name))) {
    const sizes = await sizesIn(folder);
    if (sizes === null) continue;
    try {
      await rm(folder, { recursive: true, force: true });
    } catch (error) {
      throw asWriteError(error, folder);
    }
    if (sizes.length === 0) continue;
    removed += sizes.length;
    const bytes = sizes.reduce((sum, one) => sum + one, 0);
    console.log(`Removed ${megabytes(bytes)} of ${what} (${count(sizes.length, 'file')}): ${folder}`);
  }
  if (removed === 0 && sayNone) console.log(`There are no ${what} in ${places.join(', ')}.`);
}

/** Of each file below; null: there is no such folder. */
async function sizesIn(folder: string): Promise<number[] | null> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => null);
  if (found === null) return null;
  const files = found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  return Promise.all(
    files.map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
}
