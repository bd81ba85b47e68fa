import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { initialHead } from '../../../src/architectures/initialise.ts';
import { architectureNames, type ArchitectureName } from '../../../src/architectures/settings.ts';
import { parametersOf, sizeOf } from '../../../src/graph/parameters.ts';
import type { Graph, Tensor } from '../../../src/graph/types.ts';
import { weightStore } from '../../../src/platform/node/weightStore.ts';
import {
  ChecksumInNameError,
  FoldedBatchNormError,
  LabelsDoNotFitError,
  WeightsUnavailableError,
  WrongArchitectureError,
} from '../../../src/weights/errors.ts';
import { importWeights, keptWeights, readImported } from '../../../src/weights/imported.ts';
import { assertTrainable, matchWeights } from '../../../src/weights/match.ts';
import { describedBy } from '../../../src/weights/metadata.ts';
import type { WeightsFile } from '../../../src/weights/readWeights.ts';
import { readSafetensors, writeSafetensors } from '../../../src/weights/safetensors.ts';

const candidates = architectureNames.map((name) => buildGraph(name, 2));

/** Tensors of the right names and shapes, each filled with its own number. */
function tensorsOf(graph: Graph): Map<string, Tensor> {
  return new Map(
    parametersOf(graph).map(({ name, shape }, index) => [
      name,
      { shape, data: new Float32Array(sizeOf(shape)).fill(index + 2) },
    ]),
  );
}
const fileOf = (tensors: Map<string, Tensor>, metadata: Record<string, string> = {}): WeightsFile => ({
  tensors,
  metadata,
  ...describedBy(metadata),
});
function match(
  file: WeightsFile,
  wanted: ArchitectureName,
  classes = 3,
  labels: readonly string[] | null = ['a', 'b', 'c'],
) {
  const graph = buildGraph(wanted, classes);
  return matchWeights(file, { graph, labels, initialHead: initialHead(graph, 1), candidates });
}

describe('matching weights to a network', () => {
  it.each(architectureNames)('fills %s from a file for 1000 classes and makes a new head', (name) => {
    const tensors = tensorsOf(buildGraph(name, 1000));
    tensors.set('features.x.num_batches_tracked', { shape: [], data: Float32Array.of(7) });
    const graph = buildGraph(name, 3);
    const { weights, head, classesInFile, warnings } = match(fileOf(tensors), name);
    expect([...weights.keys()]).toEqual(parametersOf(graph).map((spec) => spec.name));
    for (const { name: key, shape } of parametersOf(graph)) expect(weights.get(key)?.shape).toEqual(shape);
    expect(head).toEqual({ kept: [], fresh: ['a', 'b', 'c'], dropped: [] });
    expect(classesInFile).toBe(1000);
    expect(warnings).toEqual([]);
    expect(weights.get(`${graph.head}.weight`)?.data).toEqual(initialHead(graph, 1).get(`${graph.head}.weight`)?.data);
  });

  it('knows the names of old DenseNet files and of DataParallel', () => {
    const tensors = tensorsOf(buildGraph('densenet121', 10));
    const old = new Map(
      [...tensors].map(([name, tensor]) => [name.replace(/(denselayer\d+\.(?:norm|conv))([12])/, '$1.$2'), tensor]),
    );
    expect(old.has('features.denseblock1.denselayer1.norm.1.weight')).toBe(true);
    const parallel = new Map([...old].map(([name, tensor]) => [`module.${name}`, tensor]));
    const { weights } = match(fileOf(parallel), 'densenet121');
    const name = 'features.denseblock4.denselayer16.conv2.weight';
    expect(weights.get(name)?.data[0]).toBe(tensors.get(name)?.data[0]);
  });

  it.each([
    ['resnet50', 'densenet121'],
    ['mobilenet_v3_small', 'resnet50'],
    ['tiny', 'mobilenet_v3_small'],
  ] as const)('says that a file is of %s where %s is wanted', (is, wanted) => {
    const file = fileOf(tensorsOf(buildGraph(is, 1000)));
    expect(() => match(file, wanted)).toThrow(WrongArchitectureError);
    expect(() => match(file, wanted)).toThrow(`weights of ${is}, not of ${wanted}`);
  });

  it('does not choose between an old and a new name of one tensor', () => {
    const tensors = tensorsOf(buildGraph('densenet121', 10));
    const [now, old] = ['norm1', 'norm.1'].map((part) => `features.denseblock1.denselayer1.${part}.weight`) as [
      string,
      string,
    ];
    const both = [...tensors, [old, tensors.get(now)!] as const];
    for (const order of [both, both.reverse()])
      expect(() => match(fileOf(new Map(order)), 'densenet121')).toThrow(`1 tensor is not known to it (${old})`);
  });

  it('says what is missing, unknown or misshapen where it fits nothing', () => {
    const tensors = tensorsOf(buildGraph('tiny', 3));
    const without = new Map([...tensors].filter(([name]) => name !== 'features.0.conv.weight'));
    expect(() => match(fileOf(without), 'tiny')).toThrow(
      'do not fit tiny: 1 tensor is missing (features.0.conv.weight). It looks most like tiny: 29 of its 30 tensors are there.',
    );
    const more = new Map(tensors).set('extra', { shape: [1], data: new Float32Array(1) });
    expect(() => match(fileOf(more), 'tiny')).toThrow('1 tensor is not known to it (extra).');
    const shaped = new Map(tensors).set('features.0.norm.bias', { shape: [15], data: new Float32Array(15) });
    expect(() => match(fileOf(shaped), 'tiny')).toThrow(
      '1 tensor has another shape (features.0.norm.bias ([15] for [16]))',
    );
  });

  it('names the first few of what is missing and of what is unexpected, and the network that it looks most like', () => {
    const tensors = tensorsOf(buildGraph('resnet50', 10));
    const renamed = [...tensors].map(([name, tensor]): [string, Tensor] => [
      `module.${name.replace('layer1.0.', 'first.')}`,
      tensor,
    ]);
    const file = fileOf(new Map(renamed));
    expect(() => match(file, 'resnet50')).toThrow(
      'do not fit resnet50: 20 tensors are missing (layer1.0.conv1.weight, layer1.0.bn1.weight, layer1.0.bn1.bias, …); ' +
        '20 are not known to it (module.first.conv1.weight, module.first.bn1.weight, module.first.bn1.bias, …). ' +
        'It looks most like resnet50: 245 of its 265 tensors are there.',
    );
    expect(() => match(file, 'tiny')).toThrow('It looks most like resnet50: 245 of its 265 tensors are there.');
    const nothing = fileOf(new Map([['x', { shape: [1], data: Float32Array.of(1) }]]));
    expect(() => match(nothing, 'tiny')).toThrow('Not one of its tensors belongs to a network that this app knows.');
  });

  it('warns of folded batch norms and refuses to train all layers from them', () => {
    const tensors = tensorsOf(buildGraph('tiny', 3));
    for (const [name, { data }] of tensors) {
      if (name.endsWith('running_mean')) data.fill(0);
      if (name.endsWith('running_var')) data.fill(1);
    }
    const folded = match(fileOf(tensors), 'tiny');
    expect(folded.warnings.join()).toContain('folded away');
    expect(() => assertTrainable(folded, 'all')).toThrow(FoldedBatchNormError);
    expect(() => assertTrainable(folded, 'head')).not.toThrow();
    const [first] = [...tensors].filter(([name]) => name.endsWith('running_mean'));
    first![1].data[0] = 1e-3;
    expect(() => assertTrainable(match(fileOf(tensors), 'tiny'), 'all')).not.toThrow();
  });

  it.each([
    ['mobilenet_v3_small', '1e-5', 1e-5, 'This file was made with 0.00001'],
    ['densenet121', '0.001', 1e-3, 'This file was made with 0.001'],
    ['densenet121', '1e-5', 1e-5, null],
    ['densenet121', undefined, 1e-5, null],
    ['mobilenet_v3_small', undefined, 1e-3, null],
    ['tiny', '-1', 1e-5, 'epsilon (-1) is none: 0.00001 is taken'],
    ['tiny', '{"features.0.norm":0.1}', 1e-5, 'is none'],
    ['tiny', '', 1e-5, 'is none'],
  ] as const)('the eps of a %s that says %s is %d', (name, said, eps, warning) => {
    const tensors = tensorsOf(buildGraph(name, 3));
    const found = match(fileOf(tensors, said === undefined ? {} : { batch_norm_eps: said }), name);
    expect(found.batchNormEps).toBe(eps);
    if (warning === null) expect(found.warnings).toEqual([]);
    else expect(found.warnings.join()).toContain(warning);
    // Nothing is adapted to it.
    const [norm] = [...tensors.keys()].filter((key) => key.endsWith('running_var'));
    expect(found.weights.get(norm!)).toEqual(tensors.get(norm!));
  });
});

describe('imported weights', () => {
  const cache = weightStore(mkdtempSync(join(tmpdir(), 'imported-')));
  const network = { graph: buildGraph('tiny', 2), candidates, initialHead: (graph: Graph) => initialHead(graph, 0) };

  it('are kept with what they are, listed, read back and deleted', async () => {
    const bytes = writeSafetensors(tensorsOf(buildGraph('tiny', 5)));
    const record = await importWeights({ bytes, name: 'mine.safetensors', now: 5 }, network, cache);
    expect(record).toMatchObject({ name: 'mine.safetensors', architecture: 'tiny', classes: 5, url: null });
    expect(await keptWeights(cache)).toEqual([record]);
    const { file } = await readImported(record.key, 'tiny', cache);
    expect(file.tensors).toEqual(readSafetensors(bytes).tensors);
    expect(record.warnings.join()).toContain('does not say which labels');
    await cache.delete(record.key);
    expect(await keptWeights(cache)).toEqual([]);
    await expect(readImported(record.key, 'tiny', cache)).rejects.toThrow(WeightsUnavailableError);
  });

  it('of another architecture are not kept', async () => {
    const bytes = writeSafetensors(tensorsOf(buildGraph('mobilenet_v3_small', 5)));
    await expect(importWeights({ bytes, name: 'other', now: 5 }, network, cache)).rejects.toThrow(
      WrongArchitectureError,
    );
    expect(await cache.list()).toEqual([]);
  });

  it('whose architecture nobody names are taken for what they fit', async () => {
    const bytes = writeSafetensors(tensorsOf(buildGraph('mobilenet_v3_small', 5)), {
      classes: '["a","b","c","d","e"]',
    });
    const record = await importWeights({ bytes, name: 'some', now: 6 }, { ...network, graph: null }, cache);
    expect(record).toMatchObject({
      architecture: 'mobilenet_v3_small',
      labels: ['a', 'b', 'c', 'd', 'e'],
      warnings: [],
    });
    await cache.delete(record.key);
    const nothing = writeSafetensors(new Map([['x', { shape: [1], data: Float32Array.of(1) }]]));
    const attempt = importWeights({ bytes: nothing, name: 'x', now: 7 }, { ...network, graph: null }, cache);
    await expect(attempt).rejects.toThrow(WrongArchitectureError);
  });

  it('get the labels that the user gives, one for each row of the head', async () => {
    const bytes = writeSafetensors(tensorsOf(buildGraph('tiny', 3)));
    const given = { bytes, name: 'm.pt', now: 8 };
    for (const labels of [['a', 'b'], ['a', 'b', 'a'], []])
      await expect(importWeights({ ...given, labels }, network, cache)).rejects.toThrow(LabelsDoNotFitError);
    const record = await importWeights({ ...given, labels: ['x', 'y', 'z'] }, network, cache);
    expect(record).toMatchObject({ labels: ['x', 'y', 'z'], warnings: [] });
    expect((await readImported(record.key, 'tiny', cache)).file.labels).toEqual(['x', 'y', 'z']);
    await cache.delete(record.key);
  });
});

describe('a file that is named after its checksum', () => {
  const network = { graph: buildGraph('tiny', 2), candidates, initialHead: (graph: Graph) => initialHead(graph, 0) };
  const bytes = writeSafetensors(tensorsOf(buildGraph('tiny', 5)));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const digits = sha256.slice(0, 8);
  const take = (name: string) => {
    const cache = weightStore(mkdtempSync(join(tmpdir(), 'named-')));
    return importWeights({ bytes, name, now: 1 }, network, cache).catch(async (error: unknown) => {
      expect(await cache.list()).toEqual([]);
      throw error;
    });
  };

  it.each([`tiny-${digits}.pth`, `/home/me/tiny-${digits}.pth`, `tiny-${digits} (1).pth`])(
    '%s is verified',
    async (name) => {
      expect(await take(name)).toMatchObject({ verified: true, sha256, name });
    },
  );

  it.each([
    'tiny.pth',
    `tiny-${digits}.safetensors`,
    'tiny-20260131.pth',
    'tiny-1234567.pth',
    'checkpoint_deadbeef.pth',
    'tiny-deadbeefdeadbeef.pth',
    'checkpoint-00010000.pth',
    'epoch-00000012 (1).pth',
    'exp-12345678.pth',
    'model-31012024.pth',
    'model-1a2b3c4d.pth',
  ])('%s says nothing of it, and is taken unverified', async (name) => {
    expect(await take(name)).toMatchObject({ verified: false });
  });

  it('says of timm’s tf_ networks that they are others, which nothing but their name tells', async () => {
    expect((await take('models/tf_mobilenetv3_small_100.pth')).warnings.join()).toContain('pad as TensorFlow does');
    expect((await take('mobilenetv3_small_100.pth')).warnings.join()).not.toContain('TensorFlow');
  });

  it('is refused where a known file has this name and it is another one, with a way out', async () => {
    const known = await take('densenet121-a639ec97.pth').catch((error: unknown) => error);
    expect(known).toBeInstanceOf(ChecksumInNameError);
    expect((known as Error).message).toContain(
      `its SHA-256 begins with ${digits}, and a name that ends in -a639ec97.pth says`,
    );
    expect((known as ChecksumInNameError).remedy).toContain(
      'https://download.pytorch.org/models/densenet121-a639ec97.pth',
    );
    expect((known as ChecksumInNameError).remedy).toContain('give it a name without them');
    await expect(take('resnet50-0676ba61 (1).pth')).rejects.toBeInstanceOf(ChecksumInNameError);
  });
});
