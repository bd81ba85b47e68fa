import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { optimiserOf } from '../../../src/training/optimiser.ts';
import type { Engine, LabelledBatch } from '../../../src/engine/types.ts';
import type { Weights } from '../../../src/graph/types.ts';
import optimisers from '../../fixtures/optimisers.json' with { type: 'json' };
import steps from '../../fixtures/steps.json' with { type: 'json' };
import { options, stepsGraph, type Open } from './engineSuites.ts';
import { formulaWeights, signed } from './formulaWeights.ts';
import { judged } from './judged.ts';

const { images, size, classes } = steps.network;
const pixels = Float32Array.from(signed('optimiser images', 10 * images * size * size * 3), (v) => Math.fround(v) * 2);

/** An entry of the fixture. */
export interface OptimiserCase {
  readonly optimizer: 'adam' | 'adamw' | 'sgd';
  readonly weight_decay: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly rate: number;
  readonly parts: readonly number[];
  readonly clip_norm: number | null;
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  readonly weights: Readonly<Record<string, readonly number[]>>;
  readonly state: Readonly<Record<string, readonly number[]>>;
  readonly spread: { readonly losses: number; readonly weights: number; readonly state: number };
}

/** Relative; the least that is asked for, where torch's own float32 is nearer than that. */
const least = { losses: 1e-6, weights: 1e-4, state: 2e-5 };
function toleranceOf(quantity: keyof typeof least, { spread }: OptimiserCase): number {
  expect(spread[quantity], 'torch’s own float32').toBeLessThanOrEqual(3e-4);
  return Math.max(least[quantity], 3 * spread[quantity]);
}

/** Ten steps by each optimiser, with and without clipping, as torch in float64: tests/python/make_optimisers.py. */
export function optimiserSuite(open: Open, on: string, command: string): void {
  describe('ten steps of a small network, as torch', () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open();
    });
    afterAll(() => engine.dispose());

    it.each(Object.entries(optimisers as Record<string, OptimiserCase>))('%s', async (name, expected) => {
      const { momentum = 0, nesterov = false, rate } = expected;
      const first = formulaWeights(stepsGraph);
      const network = await engine.build(stepsGraph, first, {
        ...options,
        optimiser: optimiserOf({ ...expected, momentum, nesterov }),
        clipNorm: expected.clip_norm,
      });
      const losses: number[] = [];
      const after: { readonly tensors: number; readonly bytes: number }[] = [];
      for (let step = 0; step < expected.losses.length; step++) {
        losses.push((await network.trainStep(batch(step, expected.parts), rate)).loss);
        after.push(engine.memory());
      }
      // What the first one has made serves all others.
      const before = after[0]!;
      expect(engine.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
      const weights = await network.readWeights();
      const optimiser = await network.readOptimiser();
      network.dispose();

      expect(optimiser.step).toBe(expected.losses.length);
      const slots = Object.keys(expected.state).map((key) => key.slice(key.lastIndexOf('.')));
      expect(new Set([...optimiser.moments.keys()].map((key) => key.slice(key.lastIndexOf('.'))))).toEqual(
        new Set(slots),
      );
      const found = {
        losses: Math.max(...losses.map((loss, i) => Math.abs(loss / expected.losses[i]! - 1))),
        weights: apart(weights, expected.weights, first),
        state: apart(optimiser.moments, expected.state, null),
      };
      for (const quantity of ['losses', 'state'] as const) {
        expect(found[quantity], quantity).toBeLessThanOrEqual(toleranceOf(quantity, expected));
      }
      judged({
        quantity: `weights after 10 steps, relative to how far they went, ${name}`,
        network: 'small',
        on,
        error: found.weights,
        tolerance: toleranceOf('weights', expected),
        spread: expected.spread.weights,
        command,
      });
    });

    it('clipping is met where it binds and where it does not', () => {
      for (const { clip_norm, norms } of Object.values(optimisers as Record<string, OptimiserCase>)) {
        if (clip_norm === null) continue;
        expect(Math.max(...norms)).toBeGreaterThan(1.2 * clip_norm);
        expect(Math.min(...norms)).toBeLessThan(0.9 * clip_norm);
      }
    });
  });
}

/** The batch of step `step`, cut into parts of these sizes. */
export function batch(step: number, parts: readonly number[]): LabelledBatch[] {
  let begin = 0;
  return parts.map((n) => {
    const first = begin;
    begin += n;
    const one = size * size * 3;
    return {
      images: pixels.slice((step * images + first) * one, (step * images + begin) * one),
      labels: Int32Array.from({ length: n }, (_, i) => (step + first + i) % classes),
      n,
      size,
    };
  });
}

/** The largest distance of two tensors of one name, relative to how far the expected one is from its origin (null: zero). */
function apart(found: Weights, expected: Readonly<Record<string, readonly number[]>>, origin: Weights | null): number {
  const each = Object.entries(expected).map(([name, values]) => {
    const { data } = found.get(name)!;
    expect(data.length, name).toBe(values.length);
    const start = origin?.get(name)!.data;
    return (
      Math.hypot(...values.map((value, i) => data[i]! - value)) /
      Math.hypot(...values.map((value, i) => value - (start ? start[i]! : 0)))
    );
  });
  return Math.max(0, ...each);
}
