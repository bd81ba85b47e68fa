import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { offlinePage } from './scripts/offlinePage.ts';
import { appearance, pageOptions } from './scripts/pageOptions.ts';
import { appPolicy } from './src/serviceWorker/policy.ts';

const manifest = {
  name: 'PacerID Studio',
  short_name: 'PacerID',
  description: 'Train an image classifier on this computer, and take a Core ML model home.',
  ...appearance,
};

export default defineConfig({
  ...pageOptions,
  plugins: [
    svelte(),
    // Weights are kept by the page itself, with their checksums, when the user wants them; the others when a link asks for them.
    offlinePage(manifest, appPolicy, ['weights/**', 'sets/**', 'models/**']),
  ],
  server: { watch: { ignored: ['**/tests/**', '**/docs/**'] } },
});
