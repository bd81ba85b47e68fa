import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** The page finds a failure's remedy by the name of its class: minified, `EncryptedZipError` would be `t`. */
const named = { output: { keepNames: true } };

/** A static site that works from any sub-path: every address in it is relative. */
export default defineConfig({
  base: './',
  plugins: [svelte()],
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
