import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';
import { inferenceOnly } from './scripts/inferenceOnly.ts';
import { offlinePage } from './scripts/offlinePage.ts';
import { appearance, pageOptions } from './scripts/pageOptions.ts';
import { policyOf } from './src/serviceWorker/policy.ts';

const home = import.meta.dirname;
const folder = join(home, 'public', 'demo');

const manifest = {
  name: 'Image classifier',
  short_name: 'Classifier',
  description: 'Shows what a trained image classifier takes a picture for.',
  ...appearance,
};

/** Files that lie in the folder as they are. */
const asTheyAre: Plugin = {
  name: 'as-they-are',
  generateBundle() {
    const icons = appearance.icons.map(({ src }) => join(home, 'public', src));
    for (const path of [...icons, join(home, 'src/demo/README.txt')])
      this.emitFile({ type: 'asset', fileName: path.slice(path.lastIndexOf('/') + 1), source: readFileSync(path) });
  },
};

/** `files.json`: what makes up the page, so that the app can put it into a zip with a model; written when all of it is there. */
const fileList: Plugin = {
  name: 'file-list',
  enforce: 'post',
  closeBundle: {
    order: 'post',
    sequential: true,
    handler() {
      const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((path) => path.replaceAll('\\', '/'))
        .filter((path) => path !== 'files.json' && statSync(join(folder, path)).isFile())
        .sort();
      const files = paths.map((path) => {
        const bytes = readFileSync(join(folder, path));
        return { path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
      });
      writeFileSync(join(folder, 'files.json'), `${JSON.stringify({ files }, null, 1)}\n`);
    },
  },
};

/** The page of an exported demo, beside the app, which packs a model into it (src/export/demo). */
export default defineConfig({
  ...pageOptions,
  root: join(home, 'src/demo'),
  publicDir: false,
  plugins: [
    svelte({ configFile: join(home, 'svelte.config.js') }),
    asTheyAre,
    offlinePage(manifest, policyOf([])),
    fileList,
  ],
  worker: { ...pageOptions.worker, plugins: () => [inferenceOnly()] },
  build: { ...pageOptions.build, outDir: folder, emptyOutDir: true, assetsInlineLimit: 0 },
});
