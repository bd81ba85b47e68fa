import { expect, it } from 'vitest';
import type { ImageSource } from '../../../src/dataset/types.ts';
import type { Cuts, Engine, Network } from '../../../src/engine/types.ts';
import { judge, networkOf } from '../../../src/workers/judge.ts';
import { checkpointOf } from '../registry/support.ts';
import { openInNode } from '../support/openInNode.ts';
import { config, dataset } from '../training/smallRun.ts';

const cuts: Cuts = { device: 'this one', chosen: { 'conv 32×32×32': 'lanes8' } };

it('a checkpoint is judged as its run was: with its cuts, and as many images at once', async () => {
  const engine = await openInNode('wasm');
  const built: (Cuts | null | undefined)[] = [];
  const listening: Engine = {
    ...engine,
    build: (graph, weights, options) => {
      built.push(options.cuts);
      return engine.build(graph, weights, options);
    },
  };
  const { batchnormBatch: _, ...checkpoint } = checkpointOf(1, dataset.classes);
  await networkOf({ ...checkpoint, batchnormBatch: 16, cuts }, listening);
  const network = await networkOf({ ...checkpoint, batchnormBatch: 16 }, listening);
  expect(built).toEqual([cuts, null]);

  const sizes: number[] = [];
  const seen: Network = {
    ...network,
    predict: (batch) => {
      sizes.push(batch.n);
      return network.predict(batch);
    },
  };
  const { batch_size, img_size: side } = config.data;
  const picture = { width: side, height: side, data: new Uint8Array(side * side * 3).fill(100) };
  const source: ImageSource = { read: (some) => Promise.resolve(some.map(() => picture)) };
  const on = { dataset, source, indices: [...Array(20).keys()], split: 'test' } as const;
  for (const batchnormBatch of [batch_size, 9]) {
    sizes.length = 0;
    await judge(seen, { ...checkpoint, batchnormBatch }, on, {});
    expect(sizes[0]).toBe(batchnormBatch);
  }
  await engine.dispose();
});
