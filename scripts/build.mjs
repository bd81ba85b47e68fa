#!/usr/bin/env node
/**
 * `npm run build`: the static site in `dist/`, with its service worker; and before it, in `public/demo/`, the page of an exported demo,
 * which the site hands out with a model in it. `--demo`: that page alone, as `npm run dev` needs it.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { isMain } from './system.mjs';

const inputs = [
  'src',
  'public',
  'configs',
  'index.html',
  'vite.config.ts',
  'vite.demo.config.ts',
  'svelte.config.js',
  'package-lock.json',
  'scripts/build.mjs',
  'scripts/inferenceOnly.ts',
  'scripts/offlinePage.ts',
  'scripts/pageOptions.ts',
];

export async function buildPage(root, logLevel = 'info') {
  await buildDemoPage(root, logLevel);
  await build({ root, logLevel });
}

async function buildDemoPage(root, logLevel) {
  await build({ configFile: join(root, 'vite.demo.config.ts'), logLevel });
}

/** Builds it where it is missing or older than its sources. */
export async function buildWhereOlder(root) {
  const built = join(root, 'dist', 'index.html');
  if (existsSync(built) && newest(inputs.map((name) => join(root, name))) <= statSync(built).mtimeMs) return;
  console.log('Building the page …');
  const start = performance.now();
  await buildPage(root, 'warn');
  console.log(`Built in ${((performance.now() - start) / 1000).toFixed(1)} s.`);
}

/** The latest change below these paths, ms since 1970. */
function newest(paths) {
  return Math.max(
    0,
    ...paths.filter(existsSync).map((path) => {
      const stat = statSync(path);
      if (!stat.isDirectory()) return stat.mtimeMs;
      return Math.max(stat.mtimeMs, newest(readdirSync(path).map((name) => join(path, name))));
    }),
  );
}

if (isMain(import.meta.url)) {
  if (process.argv.includes('--demo')) await buildDemoPage(process.cwd(), 'warn');
  else await buildPage(process.cwd());
}
