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
import { fromTimmMobilenet } from '../../../src/weights/timmMobilenet.ts';
import timmNames from '../../fixtures/timm_mobilenetv3_small_100.json' with { type: 'json' };

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

  it('says what is missing, unknown or misshapen where it fits nothing', () => {
    const tensors = tensorsOf(buildGraph('tiny', 3));
    const without = new Map([...tensors].filter(([name]) => name !== 'features.0.conv.weight'));
    expect(() => match(fileOf(without), 'tiny')).toThrow('features.0.conv.weight is missing');
    const more = new Map(tensors).set('extra', { shape: [1], data: new Float32Array(1) });
    expect(() => match(fileOf(more), 'tiny')).toThrow('extra is unknown');
    const shaped = new Map(tensors).set('features.0.norm.bias', { shape: [15], data: new Float32Array(15) });
    expect(() => match(fileOf(shaped), 'tiny')).toThrow('features.0.norm.bias ([15] for [16]) has another shape');
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

  it('adapts batch norms of another epsilon so that they act the same', () => {
    const tensors = tensorsOf(buildGraph('mobilenet_v3_small', 3));
    const variance = tensors.get('features.0.1.running_var')!.data;
    variance.set([0, 1e-4, 2e-3, 5]);
    const { weights, warnings } = match(fileOf(tensors, { batch_norm_eps: '1e-5' }), 'mobilenet_v3_small');
    const gamma = tensors.get('features.0.1.weight')!.data[0]!;
    for (let c = 0; c < 4; c++) {
      const now = weights.get('features.0.1.weight')!.data[c]!;
      const v = weights.get('features.0.1.running_var')!.data[c]!;
      expect(v).toBeGreaterThanOrEqual(0);
      expect((now / Math.sqrt(v + 1e-3)) * Math.sqrt(variance[c]! + 1e-5)).toBeCloseTo(gamma, 4);
    }
    expect(warnings.join()).toContain('epsilon');
  });

  it('maps timm’s MobileNetV3-Small onto torchvision’s names, one to one', () => {
    const tensors = new Map(
      Object.entries(timmNames).map(([name, shape]) => [
        name,
        { shape, data: new Float32Array(sizeOf(shape)).fill(1) },
      ]),
    );
    const renamed = { ...fileOf(tensors), ...fromTimmMobilenet(fileOf(tensors)) };
    expect(renamed.tensors.size).toBe(tensors.size);
    expect(match(renamed, 'mobilenet_v3_small').classesInFile).toBe(1000);
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
