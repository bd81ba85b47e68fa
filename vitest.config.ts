import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { build } from 'vite';
import { defineConfig } from 'vitest/config';

/**
 * `unit`: everything that needs no GPU. `gpu`: WebGPU in Node (Dawn), on a real GPU or on lavapipe, one file at a time.
 *
 * tfjs is bundled once, by its `module` fields, and every test imports that bundle: its CommonJS builds register no
 * gradients, and transforming its thousand modules anew for each run takes ten seconds.
 */
const packages = {
  '@tensorflow/tfjs': 'tfjs',
  '@tensorflow/tfjs-core': 'core',
  '@tensorflow/tfjs-backend-wasm': 'wasm',
  '@tensorflow/tfjs-backend-webgpu': 'webgpu',
};

async function tensorflowAliases(): Promise<{ find: RegExp; replacement: string }[]> {
  const { version } = createRequire(import.meta.url)('@tensorflow/tfjs/package.json') as { version: string };
  const directory = join(import.meta.dirname, '.cache', `tensorflow-${version}`);
  if (!Object.values(packages).every((name) => existsSync(join(directory, `${name}.mjs`)))) {
    await build({
      configFile: false,
      publicDir: false,
      logLevel: 'error',
      resolve: { mainFields: ['module', 'main'] },
      ssr: { noExternal: true, target: 'node' },
      build: {
        ssr: true,
        outDir: directory,
        minify: false,
        rollupOptions: {
          input: Object.fromEntries(Object.entries(packages).map(([id, name]) => [name, id])),
          preserveEntrySignatures: 'strict',
          output: {
            entryFileNames: '[name].mjs',
            chunkFileNames: 'chunk-[name].mjs',
            banner:
              "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); const __dirname = import.meta.dirname; const __filename = import.meta.filename;",
          },
        },
      },
    });
  }
  return Object.entries(packages).map(([id, name]) => ({
    find: new RegExp(`^${id}$`),
    replacement: join(directory, `${name}.mjs`),
  }));
}

const resolve = { alias: await tensorflowAliases() };
// Of a second by default: less than a busy computer may take to end what is under way.
const expect = { poll: { timeout: 30_000 } };
const server = { deps: { external: [/\.cache\/tensorflow-/] } };

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [svelte({ configFile: false })],
        resolve,
        test: {
          name: 'unit',
          environment: 'node',
          include: ['tests/unit/**/*.test.ts'],
          server,
          // Vitest leaves one core free, of two the half.
          maxWorkers: availableParallelism(),
          // Generous: a busy computer is no reason to fail.
          testTimeout: 180_000,
          hookTimeout: 120_000,
          expect,
        },
      },
      {
        resolve,
        test: {
          name: 'gpu',
          environment: 'node',
          include: ['tests/gpu/**/*.test.ts'],
          server,
          // Dawn's device lives in a native add-on: a process a file, one after the other.
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 120_000,
          expect,
        },
      },
    ],
  },
});
