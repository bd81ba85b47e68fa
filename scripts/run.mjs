#!/usr/bin/env node
/** `node scripts/run.mjs src/…/entry.ts args…`: bundles a TypeScript entry for Node and runs it in this process. */
import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { setSourceMapsEnabled } from 'node:process';
import { pathToFileURL } from 'node:url';
import { bundle, root } from './bundle-cli.mjs';

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined || !existsSync(resolve(entry))) {
  console.error(
    `Usage: node scripts/run.mjs ENTRY.ts [arguments…]${entry === undefined ? '' : `\nThere is no ${entry}`}`,
  );
  process.exit(2);
}

const name = relative(root, resolve(entry)).replaceAll(/[^\w-]+/g, '_');
const built = await bundle(resolve(entry), join(root, '.cache', 'run', name));

setSourceMapsEnabled(true);
process.argv = [process.argv[0], built, ...args];
await import(pathToFileURL(built).href);
