#!/usr/bin/env node
/**
 * `node scripts/cli.mjs COMMAND args…`: the headless face, src/cli/main.ts. `npm run train -- …` and its like come here. All in this
 * one process, so that signals reach the command; the bundle is made anew only where a source has changed.
 */
import { join } from 'node:path';
import { setSourceMapsEnabled } from 'node:process';
import { pathToFileURL } from 'node:url';
import { noCacheFolder } from '../src/cli/cacheFolder.mjs';
import { cachedBundle, root } from './bundle-cli.mjs';

const built = await cachedBundle(join(root, 'src/cli/main.ts'), 'cli');
if (built === null) {
  const { message, kept, remedy } = noCacheFolder(root);
  console.error(`NoCacheFolderError: ${message}\nKept: ${kept}\nWhat to do: ${remedy}`);
  process.exit(1);
}
setSourceMapsEnabled(true);
process.argv = [process.argv[0], built, ...process.argv.slice(2)];
await import(pathToFileURL(built).href);
