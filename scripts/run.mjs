#!/usr/bin/env node
/**
 * `node scripts/run.mjs src/…/entry.ts args…`: bundles a TypeScript entry for Node and runs it in this process.
 * tfjs must be bundled by its `module` fields (its CommonJS builds register no gradients, and would make a second tfjs-core);
 * packages with native parts stay outside, and so does fast-png: fflate's Node build declares a `require` of its own. Source maps are on, so that stack traces name the TypeScript.
 */
import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { setSourceMapsEnabled } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'vite';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [entry, ...args] = process.argv.slice(2);
if (entry === undefined || !existsSync(resolve(entry))) {
  console.error(
    `Usage: node scripts/run.mjs ENTRY.ts [arguments…]${entry === undefined ? '' : `\nThere is no ${entry}`}`,
  );
  process.exit(2);
}

const name = relative(root, resolve(entry)).replaceAll(/[^\w-]+/g, '_');
const outDir = join(root, '.cache', 'run', name);
await build({
  root,
  configFile: false,
  publicDir: false,
  logLevel: 'error',
  // Node packages that ship in the bundle read `require` and `__dirname`.
  build: {
    ssr: resolve(entry),
    outDir,
    emptyOutDir: false,
    minify: false,
    sourcemap: true,
    target: 'node20',
    rollupOptions: {
      output: {
        entryFileNames: 'entry.mjs',
        chunkFileNames: 'chunk-[name].mjs',
        banner:
          "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); const __dirname = import.meta.dirname; const __filename = import.meta.filename;",
      },
    },
  },
  resolve: { mainFields: ['module', 'main'] },
  ssr: {
    noExternal: true,
    external: ['sharp', 'webgpu', 'fast-png', 'vite', 'esbuild', '@playwright/test'],
    target: 'node',
  },
});

setSourceMapsEnabled(true);
const bundle = join(outDir, 'entry.mjs');
process.argv = [process.argv[0], bundle, ...args];
await import(pathToFileURL(bundle).href);
