#!/usr/bin/env node
/** `npm run build`: the static site in `dist/`, with its service worker. */
import { build } from 'vite';
import { isMain } from './system.mjs';

export async function buildPage(root, logLevel = 'info') {
  await build({ root, logLevel });
}

if (isMain(import.meta.url)) await buildPage(process.cwd());
