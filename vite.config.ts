import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';
import { metaPolicy } from './src/serviceWorker/policy.ts';

/** The page finds a failure's remedy by the name of its class: minified, `EncryptedZipError` would be `t`. */
const named = { output: { keepNames: true } };

/** The first visit is under the policy, too. Not in development, where Vite puts scripts into the page. */
const policyInThePage: Plugin = {
  name: 'policy-in-the-page',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: metaPolicy }, injectTo: 'head-prepend' },
  ],
};

/** A static site that works from any sub-path: every address in it is relative. */
export default defineConfig({
  base: './',
  plugins: [
    svelte(),
    policyInThePage,
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'src/serviceWorker',
      filename: 'serviceWorker.ts',
      injectRegister: false,
      injectManifest: {
        rollupFormat: 'iife',
        globPatterns: ['**/*.{html,js,css,wasm,svg,png,webmanifest,json}'],
        // Weights are kept by the page itself, with their checksums, when the user wants them.
        globIgnores: ['weights/**', 'sets/**', 'models/**'],
        maximumFileSizeToCacheInBytes: 16 * 2 ** 20,
        manifestTransforms: [
          (entries) => ({
            manifest: entries.map((entry) => ({ ...entry, revision: null, integrity: integrityOf(entry.url) })),
          }),
        ],
      },
      manifest: {
        id: './',
        name: 'PacerID Studio',
        short_name: 'PacerID',
        description: 'Train an image classifier on this computer, and take a Core ML model home.',
        start_url: './',
        scope: './',
        display: 'standalone',
        background_color: '#0d1013',
        theme_color: '#0d1013',
        icons: [
          { src: 'icon.svg', type: 'image/svg+xml', sizes: 'any' },
          { src: 'icon-192.png', type: 'image/png', sizes: '192x192' },
          { src: 'icon-512.png', type: 'image/png', sizes: '512x512' },
          { src: 'icon-maskable-512.png', type: 'image/png', sizes: '512x512', purpose: 'maskable' },
        ],
      },
    }),
  ],
  worker: { format: 'es', rolldownOptions: named },
  // `light-dark()` must stay as written: its lowered form cannot switch within a page, and images lie on dark in both themes.
  build: {
    target: 'es2022',
    cssTarget: ['chrome123', 'safari17.5', 'firefox120'],
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    rolldownOptions: named,
  },
  server: { watch: { ignored: ['**/tests/**', '**/docs/**'] } },
});

function integrityOf(url: string): string {
  const bytes = readFileSync(join(import.meta.dirname, 'dist', url));
  return `sha256-${createHash('sha256').update(bytes).digest('base64')}`;
}
