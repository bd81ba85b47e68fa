import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import type { AdamSettings, Engine, LabelledBatch, Network } from '../../../src/engine/types.ts';
import type { Graph, Weights } from '../../../src/graph/types.ts';
import densenet121 from '../../fixtures/training/densenet121.json' with { type: 'json' };
import mobilenetV3Small from '../../fixtures/training/mobilenet_v3_small.json' with { type: 'json' };
import resnet50 from '../../fixtures/training/resnet50.json' with { type: 'json' };
import tiny from '../../fixtures/training/tiny.json' with { type: 'json' };
import { distance, options, type Open } from './engineSuites.ts';
import { formulaImages, formulaWeights, initialFormulaWeights } from './formulaWeights.ts';
import { judged } from './judged.ts';
import { sketched, summed } from './sketch.ts';

/** All of it by tests/python/make_training.py, whose head comment says what each quantity measures. */
interface Fixture {
  /** `images` from `first` on, of those of formulaWeights.ts. */
  readonly settings: Readonly<Record<'size' | 'first' | 'images' | 'rate' | 'classes', number>>;
  readonly runs: Readonly<Partial<Record<Kind, Run>>>;
  /** Of the run `all`. */
  readonly firstStep?: FirstStep;
  /** Of each tensor's gradient: its share of the whole norm; its projection over its own norm. */
  readonly tensors?: Readonly<Record<string, readonly [number, number]>>;
  /** Variances: norm, projection over it. Means: both over the norm of the deviations, which comes last. */
  readonly statistics?: Readonly<Record<string, readonly [number, number, number, number, number]>>;
}
/** All layers at the network's own rate, the head alone at Adam 1e-3, all layers at Adam 1e-3. */
type Kind = 'all' | 'head' | 'fast';
interface Run {
  readonly losses: readonly number[];
  readonly spread: Readonly<Record<string, number>>;
}
interface FirstStep {
  /** Of the batch norms. */
  readonly momentum: number;
  readonly logits: readonly number[];
  /** Of the whole gradient. */
  readonly norm: number;
  /** By bucket, over the norm. */
  readonly sketch: readonly number[];
}
const fixtures = { densenet121, resnet50, mobilenet_v3_small: mobilenetV3Small, tiny } as unknown as Record<
  ArchitectureName,
  Fixture
>;

const fastRate = 1e-3;
/** 20 steps of a large network on a busy computer, ms. */
const timeout = 600_000;
const { beta1 } = options.optimiser as AdamSettings;

export interface Where {
  readonly open: Open;
  readonly on: string;
  readonly command: string;
  /** How many steps of a run are made: a software GPU takes its time. */
  readonly steps: (name: ArchitectureName, kind: Kind) => number;
}

/** A backbone in training against torch's float64 run: first step, and the losses of 20. */
export function trainingSuite(name: ArchitectureName, { open, on, command, steps }: Where): void {
  const { settings, runs, firstStep, tensors, statistics } = fixtures[name];
  const { size, first, images: n, classes } = settings;
  const graph = withoutDropout(buildGraph(name, classes));
  const batch: LabelledBatch = {
    images: formulaImages(first + n, size).slice(first * size * size * 3),
    labels: Int32Array.from({ length: n }, (_, i) => i % classes),
    n,
    size,
  };
  const judge = (quantity: string, error: number, spread: number) =>
    judged({ quantity, network: name, on, error, spread, tolerance: Math.max(1e-3, 3 * spread), command });

  describe(`${name} in training, as torch`, () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open();
    });
    afterAll(() => engine.dispose());

    const initial = () => initialFormulaWeights(graph, architectures[name].initialisation);
    const lossesOf = async (network: Network, rate: number, count: number, before: readonly number[] = []) => {
      const losses = [...before];
      while (losses.length < count) losses.push((await network.trainStep([batch], rate)).loss);
      return losses;
    };
    const judgeLosses = (title: string, run: Run, found: readonly number[]) => {
      expect(found.length).toBeGreaterThan(1);
      const error = Math.max(...found.map((loss, i) => Math.abs(loss / run.losses[i]! - 1)));
      judge(`loss of ${found.length} steps, ${title}`, error, run.spread['losses']!);
    };
    const stepsOf = (kind: Kind) => Math.min(steps(name, kind), runs[kind]!.losses.length);

    if (firstStep && tensors && statistics && runs.all) {
      const { spread } = runs.all;
      let network: Network;
      let begun: Awaited<ReturnType<Network['trainStep']>>;
      beforeAll(async () => {
        network = await engine.build(graph, initial(), options);
        begun = await network.trainStep([batch], settings.rate);
      }, timeout);
      afterAll(() => network.dispose());

      it('logits in train mode', () => {
        const largest = Math.max(...firstStep.logits.map(Math.abs));
        judge('logits in train mode', distance(begun.logits, firstStep.logits) / largest, spread['logits']!);
      });

      it('running statistics after a step', async () => {
        const error = statisticsError(graph, await network.readWeights(), firstStep.momentum, statistics);
        judge('running statistics after a step', error, spread['statistics']!);
      });

      it('gradients of all parameters', async () => {
        const { step, moments } = await network.readOptimiser();
        expect(step).toBe(1);
        // After one step of Adam: (1 − β₁) · gradient.
        const gradients = [...moments].flatMap(([key, { data }]) =>
          key.endsWith('.exp_avg') ? [[key.slice(0, -'.exp_avg'.length), data] as const] : [],
        );
        const found = sketched(gradients, 1 / (1 - beta1));
        const { norm } = firstStep;
        const apart = Math.hypot(...firstStep.sketch.map((value, i) => value - found.sketch[i]! / norm));
        const whole = Math.max(apart, Math.abs(found.norm / norm - 1));
        judge('gradient, over its norm', whole, spread['gradient']!);
        const each = Object.entries(tensors).map(([key, [share, along]]) => {
          const { norm: own, projection } = found.tensors.get(key)!;
          const expected = share * norm;
          return Math.max(Math.abs(own / expected - 1), Math.abs(projection / expected - along));
        });
        judge('gradient of each tensor, over its norm', Math.max(...each), spread['tensors']!);
      });

      it(
        `the loss of ${stepsOf('all')} steps, all layers`,
        async () => {
          const found = await lossesOf(network, settings.rate, stepsOf('all'), [begun.loss]);
          judgeLosses(`all layers, Adam ${settings.rate.toExponential()}`, runs.all!, found);
        },
        timeout,
      );
    }

    if (runs.head) {
      it(
        `the loss of ${stepsOf('head')} steps, head only`,
        async () => {
          const network = await engine.build(graph, formulaWeights(graph), { ...options, trainable: 'head' });
          judgeLosses('head only, Adam 1e-3', runs.head!, await lossesOf(network, fastRate, stepsOf('head')));
          network.dispose();
        },
        timeout,
      );
    }

    if (runs.fast) {
      it(
        `the loss of ${stepsOf('fast')} steps at a rate of 1e-3, all layers`,
        async () => {
          const network = await engine.build(graph, initial(), options);
          judgeLosses('all layers, Adam 1e-3', runs.fast!, await lossesOf(network, fastRate, stepsOf('fast')));
          network.dispose();
        },
        timeout,
      );
    }
  });
}

function withoutDropout(graph: Graph): Graph {
  return { ...graph, nodes: graph.nodes.map((node) => (node.op === 'dropout' ? { ...node, p: 0 } : node)) };
}

/** Of a batch's means and variances, which are the running ones, that began at 0, over the momentum. */
function statisticsError(
  graph: Graph,
  weights: Weights,
  momentum: number,
  expected: NonNullable<Fixture['statistics']>,
): number {
  const norms = graph.nodes.flatMap((node) => (node.op === 'batchNorm2d' ? [node] : []));
  expect(norms.map(({ name }) => name).sort()).toEqual(Object.keys(expected).sort());
  const errors = norms.flatMap(({ name }) => {
    const [variances, alongVariances, means, alongMeans, deviations] = expected[name]!;
    const of = (key: string) => summed(key, weights.get(key)!.data, 1 / momentum);
    const variance = of(`${name}.running_var`);
    const mean = of(`${name}.running_mean`);
    return [
      variance.norm / variances - 1,
      variance.projection / variances - alongVariances,
      mean.norm / deviations - means,
      mean.projection / deviations - alongMeans,
    ].map(Math.abs);
  });
  return Math.max(...errors);
}
