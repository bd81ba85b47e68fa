import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { initialHead } from '../../../src/architectures/initialise.ts';
import { architectureNames } from '../../../src/architectures/settings.ts';
import type { Engine } from '../../../src/engine/types.ts';
import { batchNormEpsOf } from '../../../src/graph/batchNormEps.ts';
import { parametersOf } from '../../../src/graph/parameters.ts';
import { dropDropout } from '../../../src/graph/passes/index.ts';
import type { Graph, Tensor } from '../../../src/graph/types.ts';
import { matchWeights } from '../../../src/weights/match.ts';
import { readWeightsFile } from '../../../src/weights/readWeights.ts';
import { writeSafetensors } from '../../../src/weights/safetensors.ts';
import { weightSources } from '../../../src/weights/sources.ts';
import fixture from '../../fixtures/timm.json' with { type: 'json' };
import { options } from '../support/engineSuites.ts';
import { formulaImages, formulaTensor } from '../support/formulaWeights.ts';
import { judged } from '../support/judged.ts';
import { openInNode } from '../support/openInNode.ts';

/** tests/python/make_timm.py: timm itself, on weights by formula under its own names. */
const { classes, size, images } = fixture.of;
const networks = ['densenet121', 'resnet50', 'mobilenet_v3_small'] as const;
const labels = Array.from({ length: classes }, (_, i) => `class ${i}`);

/** timm's MobileNetV3, with small variances: what 1e-5 and 1e-3 make of them differs. */
function timmTensor(name: string, shape: readonly number[], small: boolean): Tensor {
  const data = formulaTensor(name, shape);
  const share = name.endsWith('running_var') ? 128 : name.endsWith('weight') && shape.length === 1 ? 8 : 1;
  return { shape, data: small ? data.map((value) => value / share) : data };
}

/** A file as timm writes it. */
function timmFile(name: (typeof networks)[number]): Uint8Array {
  const { shapes } = fixture[name];
  const named = shapes
    ? Object.entries(shapes)
    : parametersOf(buildGraph(name, classes)).map((spec): [string, readonly number[]] => [spec.name, spec.shape]);
  const tensors = new Map(named.map(([key, shape]) => [key, timmTensor(key, shape, shapes !== null)]));
  tensors.set('bn1.num_batches_tracked', { shape: [], data: Float32Array.of(3) });
  return writeSafetensors(tensors, { format: 'pt' });
}

function matched(name: (typeof networks)[number], prefix = '') {
  const graph = buildGraph(name, classes);
  const { tensors, metadata } = readWeightsFile(timmFile(name));
  const file = { tensors: new Map([...tensors].map(([key, value]) => [prefix + key, value])), metadata, labels };
  const candidates = architectureNames.map((one) => buildGraph(one, 2));
  const found = matchWeights(file, { graph, labels, initialHead: initialHead(graph, 1), candidates });
  return { ...found, graph: buildGraph(name, classes, { batchNormEps: found.batchNormEps }) };
}

function relative(found: ArrayLike<number>, expected: readonly number[]): number {
  expect(found.length).toBe(expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs((found[i] ?? NaN) - value))) / largest;
}

const batch = { images: formulaImages(images, size), n: images, size };
const command = 'npm test -- weights/timm';

describe('a file of timm’s', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openInNode('wasm');
  });
  afterAll(() => engine.dispose());

  const predict = async (graph: Graph, name: (typeof networks)[number]): Promise<Float32Array> => {
    const network = await engine.build(graph, matched(name).weights, options);
    const logits = await network.predict(batch);
    network.dispose();
    return logits;
  };

  it.each(networks)('%s gives timm’s logits', async (name) => {
    const { graph, head } = matched(name);
    expect(head.kept).toEqual(labels);
    expect(batchNormEpsOf(graph)).toBe(fixture[name].batchNormEps);
    const { float32Error: spread, logits } = fixture[name];
    const error = relative(await predict(graph, name), logits);
    judged({
      quantity: 'logits of a file of timm’s',
      network: name,
      on: 'wasm',
      error,
      tolerance: 1e-4,
      spread,
      command,
    });
  });

  it('mobilenet_v3_small gives timm’s logits in train mode too, and others with torchvision’s eps in either', async () => {
    const { logits, trainLogits } = fixture.mobilenet_v3_small;
    const inTraining = async (graph: Graph): Promise<Float32Array> => {
      const network = await engine.build(dropDropout(graph), matched('mobilenet_v3_small').weights, options);
      const labelled = { ...batch, labels: Int32Array.from({ length: images }, (_, i) => i % classes) };
      const { logits: found } = await network.trainStep([labelled], 0);
      network.dispose();
      return found;
    };
    const { graph } = matched('mobilenet_v3_small');
    judged({
      quantity: 'logits in train mode of a file of timm’s',
      network: 'mobilenet_v3_small',
      on: 'wasm',
      error: relative(await inTraining(graph), trainLogits ?? []),
      tolerance: 1e-4,
      command,
    });
    const own = buildGraph('mobilenet_v3_small', classes);
    expect(relative(await inTraining(own), trainLogits ?? [])).toBeGreaterThan(1e-2);
    expect(relative(await predict(own, 'mobilenet_v3_small'), logits)).toBeGreaterThan(1e-2);
  });
});

describe('timm’s names', () => {
  it('are torchvision’s for DenseNet121 and ResNet50, and map onto them one to one for MobileNetV3', () => {
    expect(networks.map((name) => fixture[name].torchvisionsNames)).toEqual([true, true, false]);
    const names = Object.keys(fixture.mobilenet_v3_small.shapes ?? {});
    expect(names.length).toBe(parametersOf(buildGraph('mobilenet_v3_small', classes)).length);
    expect(matched('mobilenet_v3_small').warnings).toEqual([
      'This file was made with 0.00001 as batch norms’ epsilon, where mobilenet_v3_small has 0.001: ' +
        'the run and what is exported of it have 0.00001.',
    ]);
  });

  it.each(['module.', 'model.', 'module._orig_mod.'])('are known behind %s', (prefix) => {
    expect(matched('mobilenet_v3_small', prefix)).toMatchObject({ batchNormEps: 1e-5, classesInFile: classes });
  });

  it('come with the eps that the list of sources says', () => {
    for (const name of networks) {
      for (const source of weightSources[name].filter(({ url }) => url.includes('/timm/')))
        expect([source.name, source.batchNormEps]).toEqual([source.name, fixture[name].batchNormEps]);
      const own = batchNormEpsOf(buildGraph(name, 2));
      for (const source of weightSources[name].filter(({ url }) => url.includes('pytorch.org')))
        expect([source.name, source.batchNormEps]).toEqual([source.name, own]);
    }
  });
});
