import { graphBuilder } from '../graph/builder.ts';
import { countsOf } from '../graph/counts.ts';
import { parametersOf, sizeOf } from '../graph/parameters.ts';
import type { Graph, Weights } from '../graph/types.ts';
import type { Engine, LabelledBatch } from './types.ts';

/** Counts what is measured and how: measurements of another form are made anew. */
export const SPEED_FORM = 1;

/** No further step begins after this, ms; compiling, which can't be cut off, may take longer. */
const BUDGET = 1000;
/** Steps that are shorter say more of what surrounds them than of the device, ms: larger batches follow. */
const SHORT = 40;
const BATCHES = [4, 16, 64] as const;
const SIZE = 64;
const CLASSES = 4;

/** What the networks are made of, in about a tenth of MobileNetV3-Small: dense, depthwise and 1×1 convolutions, batch norms, activations. */
function sample(): Graph {
  const net = graphBuilder();
  const layers = [
    { out: 32, kernel: 3, stride: 2, groups: 1 },
    { out: 32, kernel: 3, stride: 1, groups: 1 },
    { out: 32, kernel: 3, stride: 1, groups: 32 },
    { out: 64, kernel: 1, stride: 2, groups: 1 },
    { out: 64, kernel: 3, stride: 1, groups: 1 },
    { out: 128, kernel: 1, stride: 1, groups: 1 },
  ];
  let x = net.input('input', 3);
  layers.forEach(({ out, ...options }, i) => {
    x = net.conv2d(`${i}.conv`, x, out, options);
    x = net.batchNorm2d(`${i}.norm`, x);
    x = net.activation(`${i}.relu`, x, 'relu');
  });
  const features = x;
  net.linear('head', net.flatten('flatten', net.globalAvgPool('pool', features)), CLASSES);
  return net.finish({ architecture: 'sample of speed', classes: CLASSES, head: 'head', features });
}

/** Any that neither vanish nor grow on the way. */
function someWeights(graph: Graph): Weights {
  return new Map(
    parametersOf(graph).map(({ name, kind, shape }) => {
      const spread = shape.length > 1 ? Math.sqrt(6 / (sizeOf(shape) / shape[0]!)) : 0;
      const centre = shape.length === 1 && (kind === 'weight' || kind === 'running_var') ? 1 : 0;
      const data = Float32Array.from(
        { length: sizeOf(shape) },
        (_, i) => centre + spread * Math.sin(12.9898 * (i + 1)),
      );
      return [name, { shape, data }];
    }),
  );
}

function batchOf(n: number): LabelledBatch {
  const images = Float32Array.from({ length: n * SIZE * SIZE * 3 }, (_, i) => ((i * 7919) % 255) / 128 - 1);
  return { images, labels: Int32Array.from({ length: n }, (_, i) => i % CLASSES), n, size: SIZE };
}

/**
 * Operations a second (FLOP/s) of a training step of a small network on this device, by its quickest step; in batches as large as it
 * takes to keep it busy. Takes about a second. Leaves nothing on the device. Throws as `Engine.build` and `Network.trainStep` do.
 */
export async function measureSpeed(engine: Pick<Engine, 'build'>): Promise<number> {
  const begun = performance.now();
  const spent = (): number => performance.now() - begun;
  const graph = sample();
  const network = await engine.build(graph, someWeights(graph), {
    trainable: 'all',
    optimiser: { kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
    clipNorm: null,
    batchNormMomentum: null,
    seed: 0,
  });
  try {
    /** ms an image */
    let best = Infinity;
    for (const n of BATCHES) {
      const batch = batchOf(n);
      const step = async (): Promise<number> => {
        const from = performance.now();
        const { loss } = await network.trainStep([batch], 1e-4);
        if (!Number.isFinite(loss)) throw new Error('A step of the measurement gave no number.');
        return performance.now() - from;
      };
      // Compiles, allocates, warms up.
      await step();
      let quickest = Infinity;
      for (let i = 0; i < 3 && (i === 0 || spent() < BUDGET); i++) quickest = Math.min(quickest, await step());
      best = Math.min(best, quickest / n);
      if (quickest > SHORT || spent() > BUDGET / 2) break;
    }
    // Forward and backward are three passes, a multiply-add is two operations.
    return (6 * countsOf(graph, SIZE).macs * 1000) / best;
  } finally {
    network.dispose();
  }
}
