import { join, relative } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { build, type Plugin } from 'vite';
import { beforeAll, describe, expect, it } from 'vitest';
import demoPage from '../../../vite.demo.config.ts';

const root = join(import.meta.dirname, '../../..');
/** Every module of which something is in the built page or in its workers, with what is left of its exports. */
const modules = new Map<string, readonly string[]>();
let text = '';

const collect = (): Plugin => ({
  name: 'collect',
  generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue;
      text += chunk.code;
      for (const [id, { renderedLength, renderedExports }] of Object.entries(chunk.modules))
        if (renderedLength > 0) modules.set(relative(root, id), renderedExports);
    }
  },
});

beforeAll(async () => {
  const { plugins: _, ...options } = demoPage;
  const workerPlugins = options.worker?.plugins ?? (() => []);
  await build({
    ...options,
    configFile: false,
    logLevel: 'silent',
    plugins: [svelte({ configFile: join(root, 'svelte.config.js') }), collect()],
    worker: { ...options.worker, plugins: () => [...workerPlugins(), collect()] },
    build: { ...options.build, write: false },
  });
});

describe('the demo page', () => {
  it('has what shows an image to a network', () => {
    for (const path of [
      'src/demo/Demo.svelte',
      'src/app/components/predict/PredictionView.svelte',
      'src/demo/demo.worker.ts',
      'src/engine/reference/pass.ts',
      'src/engine/reference/ops/conv2d.ts',
      'src/evaluation/classify.ts',
      'src/platform/browser/imageDecoder.ts',
    ])
      expect([...modules.keys()]).toContain(path);
  });

  it('has nothing that trains', () => {
    const trains =
      /^src\/(training|workers|registry|config)\/|^src\/app\/state\/|^src\/engine\/(device\.ts|compiled\/|reference\/(backward|engine|inPlace|loss|network|optimiserState|update)\.ts|reference\/optimisers\/|reference\/wasmGradients\/|reference\/ops\/backward\.ts)|tfjs-(layers|data|converter)|tfjs-core\/dist\/(optimizers|gradients|register_all_gradients)/;
    expect([...modules.keys()].filter((path) => trains.test(path))).toEqual([]);
    // Where forward and backward steps lie side by side, the forward ones alone.
    const ops = [...modules].filter(([path]) => path.startsWith('src/engine/reference/ops/'));
    expect(ops.flatMap(([, exports]) => exports).filter((name) => name.endsWith('Backward'))).toEqual([]);
    for (const word of ['exp_avg', 'learning_rate', 'AdamOptimizer', 'PacerBatchNormGradient'])
      expect(text).not.toContain(word);
  });
});
