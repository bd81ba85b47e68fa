import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { offlinePage } from './scripts/offlinePage.ts';

/** The page finds a failure's remedy by the name of its class: minified, `EncryptedZipError` would be `t`. */
const named = { output: { keepNames: true } };

const manifest = {
  name: 'PacerID Studio',
  short_name: 'PacerID',
  description: 'Train an image classifier on this computer, and take a Core ML model home.',
  background_color: '#0d1013',
  theme_color: '#0d1013',
  icons: [
    { src: 'icon.svg', type: 'image/svg+xml', sizes: 'any' },
    { src: 'icon-192.png', type: 'image/png', sizes: '192x192' },
    { src: 'icon-512.png', type: 'image/png', sizes: '512x512' },
    { src: 'icon-maskable-512.png', type: 'image/png', sizes: '512x512', purpose: 'maskable' },
  ],
};

/** A static site that works from any sub-path: every address in it is relative. */
export default defineConfig({
  base: './',
  plugins: [
    svelte(),
    // Weights are kept by the page itself, with their checksums, when the user wants them; the others when a link asks for them.
    offlinePage(manifest, ['weights/**', 'sets/**', 'models/**']),
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
