import { defineConfig, devices } from '@playwright/test';
import { ensureChromium } from './scripts/ensure-chromium.mjs';
import { freePort } from './scripts/system.mjs';

/**
 * The built site in a real Chromium, once for each device that it can train on here. `wasm` has no WebGPU at all;
 * `webgpu` has Chromium's software adapter: right numbers, many times slower than wasm, so few steps and small images.
 */
// Playwright's workers load this file too: the first process decides, the others inherit.
const port = (process.env.PACERID_PORT ??= String(await freePort()));
const chromium = (process.env.CHROMIUM ??= ensureChromium().path ?? undefined);
if (chromium === undefined) throw new Error('No Chromium was found; `node scripts/ensure-chromium.mjs` says why.');

// Chromium refuses its sandbox to root.
const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
const softwareWebGpu = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
  '--use-angle=swiftshader',
];

const chrome = (args: string[]) => ({
  ...devices['Desktop Chrome'],
  viewport: { width: 1440, height: 900 },
  launchOptions: { executablePath: chromium, args: [...sandbox, ...args] },
});

export default defineConfig({
  testDir: 'tests/browser',
  outputDir: 'output/playwright',
  workers: 1,
  timeout: 300_000,
  expect: { timeout: 15_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: 'list',
  use: {
    baseURL: `http://localhost:${port}/`,
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
  },
  projects: [
    { name: 'wasm', testMatch: '**/*.wasm.spec.ts', use: chrome(['--disable-features=WebGPU', '--disable-gpu']) },
    // Pictures to look at: only when asked for, by `npm run verify -- looks`.
    ...(process.env.PACERID_LOOKS
      ? [
          {
            name: 'looks',
            testMatch: '**/*.looks.spec.ts',
            use: chrome(['--disable-features=WebGPU', '--disable-gpu']),
          },
        ]
      : []),
    { name: 'webgpu', testMatch: '**/*.webgpu.spec.ts', use: chrome(softwareWebGpu) },
  ],
  webServer: {
    command: `node scripts/start.mjs --port ${port} --strict-port --no-open`,
    url: `http://localhost:${port}/`,
    timeout: 180_000,
    stdout: 'pipe',
  },
});
