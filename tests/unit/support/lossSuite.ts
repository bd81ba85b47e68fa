import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import { createHead } from '../../../src/engine/head.ts';
import type { Engine, LabelledBatch, NetworkOptions } from '../../../src/engine/types.ts';
import losses from '../../fixtures/losses.json' with { type: 'json' };
import { options, type Open } from './engineSuites.ts';
import { formulaImages, formulaWeights, initialFormulaWeights } from './formulaWeights.ts';
import { judged } from './judged.ts';

/** An entry of the fixture, by tests/python/make_losses.py, whose head comment says what it measures. */
export interface LossCase {
  readonly class_weights: readonly number[] | null;
  readonly label_smoothing: number;
  readonly rate: number;
  readonly images: number;
  /** Of the images of formulaWeights.ts. */
  readonly first: number;
  readonly size: number;
  /** Of each step. */
  readonly labels: readonly (readonly number[])[];
  readonly rows: readonly {
    readonly labels: readonly number[];
    readonly logits: readonly (readonly number[])[];
    readonly loss: number;
    readonly gradient: readonly (readonly number[])[];
  }[];
  readonly parts: Readonly<Record<string, readonly number[]>>;
  /** Of `tiny` by each of `parts`, and of its head alone. */
  readonly losses: Readonly<Record<string, readonly number[]>>;
  readonly spread: Readonly<Record<string, number>>;
}
export const lossCases = Object.entries(losses as unknown as Readonly<Record<string, LossCase>>);

export function lossOf({ class_weights, label_smoothing }: LossCase): NonNullable<NetworkOptions['loss']> {
  return { classWeights: class_weights, smoothing: label_smoothing };
}

/** `tiny` in training by each loss, as torch in float64; whole batches, batches in parts, and the head alone on features. */
export function lossSuite(open: Open, on: string, command: string): void {
  describe('ten steps of tiny, as torch', () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open();
    });
    afterAll(() => engine.dispose());

    const graph = buildGraph('tiny', 5);
    const judge = (
      quantity: string,
      found: readonly number[],
      known: readonly number[],
      spread: number,
      least: number,
    ) => {
      expect(found).toHaveLength(known.length);
      const error = Math.max(...found.map((loss, i) => Math.abs(loss / known[i]! - 1)));
      const tolerance = Math.max(least, 3 * spread);
      judged({ quantity: `loss of 10 steps, ${quantity}`, network: 'tiny', on, error, tolerance, spread, command });
    };

    describe.each(lossCases)('%s', (name, expected) => {
      it.each(Object.entries(expected.parts))('%s', async (how, parts) => {
        const first = initialFormulaWeights(graph, architectures.tiny.initialisation);
        const network = await engine.build(graph, first, { ...options, loss: lossOf(expected) });
        const found: number[] = [];
        for (const step of expected.labels.keys())
          found.push((await network.trainStep(cut(expected, step, parts), expected.rate)).loss);
        network.dispose();
        judge(`${how}, ${name}`, found, expected.losses[how]!, expected.spread[how]!, 1e-3);
      });

      it('the head alone, through the network and on features', async () => {
        const first = formulaWeights(graph);
        const own: NetworkOptions = { ...options, trainable: 'head', loss: lossOf(expected) };
        const network = await engine.build(graph, first, own);
        const head = createHead(graph, first, own);
        const [through, alone]: [number[], number[]] = [[], []];
        for (const step of expected.labels.keys()) {
          const [batch] = cut(expected, step, [expected.images]) as [LabelledBatch];
          alone.push(head.step(await network.features(batch), batch.labels, expected.rate).loss);
          // What the backbone gives is each image's own: parts are the whole here.
          const parts = cut(expected, step, step % 2 === 0 ? [expected.images] : [1, expected.images - 1]);
          through.push((await network.trainStep(parts, expected.rate)).loss);
        }
        network.dispose();
        const [known, spread] = [expected.losses['head']!, expected.spread['head']!];
        judge(`head only, ${name}`, through, known, spread, 1e-5);
        judge(`head on features, ${name}`, alone, known, spread, 1e-5);
      });
    });
  });
}

/** The batch of a step, cut into parts of these sizes. */
function cut({ images, first, size, labels }: LossCase, step: number, parts: readonly number[]): LabelledBatch[] {
  const one = size * size * 3;
  const pixels = formulaImages(first + (step + 1) * images, size).slice((first + step * images) * one);
  let begin = 0;
  return parts.map((n) => {
    const from = begin;
    begin += n;
    return {
      images: pixels.slice(from * one, begin * one),
      labels: Int32Array.from(labels[step]!.slice(from, begin)),
      n,
      size,
    };
  });
}
