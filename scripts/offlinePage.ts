import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { PluginOption } from 'vite';
import { VitePWA, type ManifestOptions } from 'vite-plugin-pwa';
import type { Policy } from '../src/serviceWorker/policy.ts';

/**
 * For a Vite build: the page is under `policy` from its first byte, is installable as `manifest` says, and gets the service worker
 * with the list of all built files and their checksums. `ignored`: what lies beside the page and isn't part of it.
 */
export function offlinePage(
  manifest: Partial<ManifestOptions>,
  policy: Policy,
  ignored: string[] = [],
): PluginOption[] {
  let built = '';
  const integrityOf = (url: string): string =>
    `sha256-${createHash('sha256')
      .update(readFileSync(join(built, url)))
      .digest('base64')}`;
  return [
    {
      name: 'policy-in-the-page',
      // Not in development, where Vite puts scripts into the page.
      apply: 'build',
      // The service worker's build takes it over.
      config: () => ({ define: { POLICY_HEADERS: JSON.stringify(policy.headers) } }),
      configResolved: ({ root, build }) => void (built = resolve(root, build.outDir)),
      transformIndexHtml: () => [
        {
          tag: 'meta',
          attrs: { 'http-equiv': 'Content-Security-Policy', content: policy.meta },
          injectTo: 'head-prepend',
        },
      ],
    },
    VitePWA({
      strategies: 'injectManifest',
      srcDir: join(import.meta.dirname, '../src/serviceWorker'),
      filename: 'serviceWorker.ts',
      injectRegister: false,
      // The plugin lists icons and manifest once more, by hashes of its own.
      integration: {
        beforeBuildServiceWorker: ({ injectManifest }) => void (injectManifest.additionalManifestEntries = []),
      },
      injectManifest: {
        rollupFormat: 'iife',
        globPatterns: ['**/*.{html,js,css,wasm,svg,png,webmanifest,json,txt}'],
        globIgnores: ignored,
        maximumFileSizeToCacheInBytes: 16 * 2 ** 20,
        manifestTransforms: [
          (entries) => ({
            manifest: entries.map((entry) => ({ ...entry, revision: null, integrity: integrityOf(entry.url) })),
          }),
        ],
      },
      // Without an id, which is resolved against the origin: two pages of one host are two apps.
      manifest: { scope: './', start_url: './', display: 'standalone', ...manifest },
    }),
  ];
}
