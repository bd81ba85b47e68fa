import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import { createHead } from '../../../src/engine/head.ts';
import type { AdamSettings, Engine, LabelledBatch, Network, OptimiserState } from '../../../src/engine/types.ts';
import { parametersOf } from '../../../src/graph/parameters.ts';
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
  readonly gradient?: StoredGradient;
  /** Of the run `head`. */
  readonly headGradient?: StoredGradient;
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
}
/** Of a run's first step. */
interface StoredGradient {
  /** Of the whole. */
  readonly norm: number;
  /** By bucket, over the norm. */
  readonly sketch: readonly number[];
  /** Of each tensor: its share of the whole norm; its projection over its own norm. */
  readonly tensors: Readonly<Record<string, readonly [number, number]>>;
}
const fixtures = { densenet121, resnet50, mobilenet_v3_small: mobilenetV3Small, tiny } as unknown as Record<
  ArchitectureName,
  Fixture
>;

/** The largest spread of torch's float32 that a comparison may have: a third of the tolerance. */
const WIDEST = 3e-4;
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
  /** Maps in float16: the first step and the losses of whole networks, within FLOAT16. */
  readonly float16?: boolean;
}

/** What rounding every map and its gradient to eleven bits may do to the first step's logits and statistics, and to losses. */
const FLOAT16 = { 'logits in train mode': 1e-2, 'running statistics after a step': 1e-2 } as const;
const FLOAT16_LOSS = 2e-2;

/** A backbone in training against torch's float64 run: first step, and the losses of 20. */
export function trainingSuite(name: ArchitectureName, { open, on, command, steps, float16 = false }: Where): void {
  const { settings, firstStep, gradient, headGradient, statistics, ...fixture } = fixtures[name];
  const { head, ...whole } = fixture.runs;
  const runs: Fixture['runs'] = float16 ? whole : { ...whole, ...(head && { head }) };
  const made = float16 ? ({ ...options, precision: 'float16' } as const) : options;
  const { size, first, images: n, classes } = settings;
  const graph = withoutDropout(buildGraph(name, classes));
  const batch: LabelledBatch = {
    images: formulaImages(first + n, size).slice(first * size * size * 3),
    labels: Int32Array.from({ length: n }, (_, i) => i % classes),
    n,
    size,
  };
  const judge = (quantity: string, error: number, spread: number, least = 1e-3) => {
    expect(spread, 'torch’s own float32').toBeLessThanOrEqual(WIDEST);
    const tolerance = float16
      ? (FLOAT16[quantity as keyof typeof FLOAT16] ?? FLOAT16_LOSS)
      : Math.max(least, 3 * spread);
    judged({
      quantity: float16 ? `${quantity}, float16` : quantity,
      network: name,
      on,
      error,
      spread,
      tolerance,
      command,
    });
  };
  /** Of a network after one step of Adam, whose first moments are (1 − β₁) · gradient; of exactly these parameters. */
  const judgeGradient = (
    of: '' | ', head only' | ', head on features',
    { step, moments }: OptimiserState,
    names: readonly string[],
    expected: StoredGradient,
    spread: Run['spread'],
  ) => {
    expect(step).toBe(1);
    const gradients = [...moments].flatMap(([key, { data }]) =>
      key.endsWith('.exp_avg') ? [[key.slice(0, -'.exp_avg'.length), data] as const] : [],
    );
    expect(gradients.map(([key]) => key).sort()).toEqual([...names].sort());
    const found = sketched(gradients, 1 / (1 - beta1));
    const { norm } = expected;
    const apart = Math.hypot(...expected.sketch.map((value, i) => value - found.sketch[i]! / norm));
    judge(`gradient${of}, over its norm`, Math.max(apart, Math.abs(found.norm / norm - 1)), spread['gradient']!);
    const each = Object.entries(expected.tensors).map(([key, [share, along]]) => {
      const { norm: own, projection } = found.tensors.get(key)!;
      return Math.max(Math.abs(own / (share * norm) - 1), Math.abs(projection / (share * norm) - along));
    });
    judge(`gradient of each tensor${of}, over its norm`, Math.max(...each), spread['tensors']!);
  };
  const trained = parametersOf(graph).filter((one) => one.trainable);

  describe(`${name} in training${float16 ? ' in float16' : ''}, as torch`, () => {
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

    if (firstStep && gradient && statistics && runs.all) {
      const { spread } = runs.all;
      let network: Network;
      let begun: Awaited<ReturnType<Network['trainStep']>>;
      beforeAll(async () => {
        network = await engine.build(graph, initial(), made);
        begun = await network.trainStep([batch], settings.rate);
      }, timeout);
      afterAll(() => network.dispose());

      it('logits in train mode', () => {
        const largest = Math.max(...firstStep.logits.map(Math.abs));
        judge('logits in train mode', distance(begun.logits, firstStep.logits) / largest, spread['logits']!, 1e-4);
      });

      it('running statistics after a step', async () => {
        const error = statisticsError(graph, await network.readWeights(), firstStep.momentum, statistics);
        judge('running statistics after a step', error, spread['statistics']!);
      });

      // In float16 the forward pass ends at another point, where ReLUs and norms of few values have other slopes.
      it.skipIf(float16)('gradients of all parameters', async () => {
        const names = trained.map((one) => one.name);
        judgeGradient('', await network.readOptimiser(), names, gradient, spread);
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

    if (runs.head && headGradient) {
      it(
        `the gradient and the loss of ${stepsOf('head')} steps, head only`,
        async () => {
          const network = await engine.build(graph, formulaWeights(graph), { ...options, trainable: 'head' });
          const begun = await lossesOf(network, fastRate, 1);
          const names = trained.filter(({ node }) => node === graph.head).map((one) => one.name);
          judgeGradient(', head only', await network.readOptimiser(), names, headGradient, runs.head!.spread);
          judgeLosses('head only, Adam 1e-3', runs.head!, await lossesOf(network, fastRate, stepsOf('head'), begun));
          network.dispose();
        },
        timeout,
      );
    }

    if (runs.head && headGradient) {
      it('the gradient and the loss of 20 steps of the head by itself, on what the backbone gave once', async () => {
        const network = await engine.build(graph, formulaWeights(graph), { ...options, trainable: 'head' });
        const features = await network.features(batch);
        network.dispose();
        const head = createHead(graph, formulaWeights(graph), options);
        const losses = [head.step(features, batch.labels, fastRate).loss];
        const names = trained.filter(({ node }) => node === graph.head).map((one) => one.name);
        judgeGradient(', head on features', head.readOptimiser(), names, headGradient, runs.head!.spread);
        while (losses.length < runs.head!.losses.length) losses.push(head.step(features, batch.labels, fastRate).loss);
        judgeLosses('head on features, Adam 1e-3', runs.head!, losses);
      });
    }

    if (runs.fast) {
      it(
        `the loss of ${stepsOf('fast')} steps at a rate of 1e-3, all layers`,
        async () => {
          const network = await engine.build(graph, initial(), made);
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
