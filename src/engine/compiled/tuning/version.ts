import { graphBuilder } from '../../../graph/builder.ts';
import type { Graph } from '../../../graph/types.ts';
import type { Precision } from '../../types.ts';
import { worksOf } from '../device/commands.ts';
import type { DeviceTraits } from '../kernels.ts';
import { trainingPlan } from '../plan/training.ts';
import { tileKey, tilingOf, type Tile, type Tiling } from '../wgsl/gemmTiles.ts';
import { wgslKernels } from '../wgsl/kernels.ts';
import { tilingBy } from './cuts.ts';
import { isProduct } from './products.ts';

/** Every kind of product that there is: with windows and without, with and without a norm before and after it, in slices and whole. */
function sample(): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.conv2d('0.conv', x, 64, { kernel: 3, stride: 2 });
  x = net.batchNorm2d('0.norm', x);
  x = net.activation('0.relu', x, 'relu');
  x = net.conv2d('1.conv', x, 64, { kernel: 1, stride: 1 });
  x = net.conv2d('2.conv', x, 64, { kernel: 3, stride: 1 });
  x = net.batchNorm2d('2.norm', x);
  const features = x;
  net.linear('head', net.flatten('flatten', net.globalAvgPool('pool', features)), 4);
  return net.finish({ architecture: 'sample of products', classes: 4, head: 'head', features });
}

/**
 * Eight hex digits that change with the code of any kernel that is tried, or that is the default: what was measured of others says nothing.
 */
export function versionOf(traits: DeviceTraits, tried: readonly Tile[], precision: Precision): string {
  const graph = sample();
  const step = { images: 8, imageSize: 64, trainable: 'all', recompute: false, precision } as const;
  const programs = new Set<string>();
  const add = (tiling: Tiling): void => {
    const kernels = wgslKernels(traits, tiling);
    const { calls } = trainingPlan(graph, kernels, step);
    for (const { dispatch } of worksOf(
      kernels,
      calls.filter(({ call }) => isProduct(call)),
    )) {
      programs.add(dispatch.program.code);
    }
  };
  add(tilingOf(traits));
  for (const tile of tried) add(tilingBy(tileKey(tile), traits));
  return hash([...programs].join('\n'));
}

/** FNV-1a, 32 bits. */
function hash(text: string): string {
  let sum = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  return (sum >>> 0).toString(16).padStart(8, '0');
}
