import { expect, it } from 'vitest';
import { splitBatch } from '../../../src/training/batches.ts';
import { augmentationCases } from '../support/augmentationSuite.ts';
import { options, stepsGraph } from '../support/engineSuites.ts';
import { formulaWeights } from '../support/formulaWeights.ts';
import { openInNode } from '../support/openInNode.ts';

/** torchvision's own images, on float64 tensors, beside pictures of which the engine makes them. */
const cases = augmentationCases.filter(({ size }) => size === 16).slice(0, 6);
const labels = Int32Array.of(0, 1, 2, 3, 4, 0);
const mean = [0.485, 0.456, 0.406];
const std = [0.229, 0.224, 0.225];

it.each([6, 4])(
  'wasm: a step on pictures has the loss of one on torchvision’s augmented images, %i at once',
  async (partSize) => {
    const engine = await openInNode('wasm');
    const pictures = cases.map(({ source, augmentation }) => [source, augmentation] as const);
    const images = Float32Array.from(
      cases.flatMap(({ onTensors }) => [...onTensors].map((value, i) => (value / 255 - mean[i % 3]!) / std[i % 3]!)),
    );
    const common = { n: 6, size: 16, labels };
    const losses: number[] = [];
    for (const parts of [
      splitBatch({ ...common, pictures, mean, std }, partSize),
      splitBatch({ ...common, images }, partSize),
    ]) {
      const network = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
      losses.push((await network.trainStep(parts, 0.01)).loss);
      network.dispose();
    }
    expect(losses[0]).not.toBeNaN();
    expect(Math.abs(losses[0]! - losses[1]!)).toBeLessThan(1e-4);
    await engine.dispose();
  },
);
