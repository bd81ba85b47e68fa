import type { UserConfig } from 'vite';
import type { ManifestOptions } from 'vite-plugin-pwa';

const rolldownOptions = {
  /** The page finds a failure's remedy by the name of its class: minified, `EncryptedZipError` would be `t`. */
  output: { keepNames: true },
  /** How long the workers took to be bundled is no warning. */
  checks: { bundlerTimings: false },
};

/** Of every page that is built here: a static site that works from any sub-path, since every address in it is relative. */
export const pageOptions = {
  base: './',
  worker: { format: 'es', rolldownOptions },
  // `light-dark()` must stay as written: its lowered form cannot switch within a page, and images lie on dark in both themes.
  build: {
    target: 'es2022',
    cssTarget: ['chrome123', 'safari17.5', 'firefox120'],
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    rolldownOptions,
  },
} as const satisfies UserConfig;

/** What an installed page looks like; the icons lie in public/. */
export const appearance = {
  background_color: '#0d1013',
  theme_color: '#0d1013',
  icons: [
    { src: 'icon.svg', type: 'image/svg+xml', sizes: 'any' },
    { src: 'icon-192.png', type: 'image/png', sizes: '192x192' },
    { src: 'icon-512.png', type: 'image/png', sizes: '512x512' },
    { src: 'icon-maskable-512.png', type: 'image/png', sizes: '512x512', purpose: 'maskable' },
  ],
} satisfies Partial<ManifestOptions>;
