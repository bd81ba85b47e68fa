/**
 * One image, one answer: the Evaluate view, Try and torchvision, each from the file's bytes. The weights are by formula, the logits
 * torchvision's in float64 (tests/python/make_preprocessing.py).
 */
import { fromBinary } from '@bufbuild/protobuf';
import JSZip from 'jszip';
import { beforeAll, describe, expect, it } from 'vitest';
import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import { evaluationCrop } from '../../../src/dataset/geometry.ts';
import { imageSource } from '../../../src/dataset/imageSource.ts';
import { importFiles } from '../../../src/dataset/import.ts';
import type { Dataset } from '../../../src/dataset/types.ts';
import type { EvaluationReport } from '../../../src/evaluation/types.ts';
import { evaluate } from '../../../src/evaluation/evaluate.ts';
import { ModelSchema } from '../../../src/export/coreml/generated/Model_pb.ts';
import { writeCheckpoint } from '../../../src/training/checkpoint.ts';
import { newRun } from '../../../src/training/run.ts';
import { foldRun } from '../../../src/training/runState.ts';
import type { RunConfig } from '../../../src/training/types.ts';
import { readSafetensors } from '../../../src/weights/safetensors.ts';
import { networkOf } from '../../../src/workers/judge.ts';
import { zipOf } from '../dataset/archives.ts';
import { formulaWeights } from '../support/formulaWeights.ts';
import { judged } from '../support/judged.ts';
import { openInNode } from '../support/openInNode.ts';
import { decoder, differenceOf, foreign, photograph, photographs, type Pixels } from '../support/preprocessing.ts';
import { computer, config } from './computer.ts';

const architecture = 'mobilenet_v3_small';
const geometries = ['center_crop', 'squash'] as const;
type Geometry = (typeof geometries)[number];

const { datasets, runs, model, trainer } = computer();
let dataset: Dataset;

const settings = (geometry: Geometry): RunConfig => ({
  ...config,
  data: { ...config.data, img_size: 64, geometry, num_workers: 2 },
  model: { ...config.model, architecture },
});

const checkpointOf = (geometry: Geometry) => ({
  schema: 1 as const,
  runId: geometry,
  epoch: 1,
  config: settings(geometry),
  dataset,
  architecture,
  origin: { kind: 'random' as const, seed: 0 },
  batchnormBatch: 8,
  history: [],
  bestEpoch: 1,
  weights: formulaWeights(buildGraph(architecture, photographs.length)),
  optimiser: { step: 0, moments: new Map() },
});

/** Logits up to a constant of the image. */
function centred(logits: readonly number[]): number[] {
  const mean = logits.reduce((sum, x) => sum + x, 0) / logits.length;
  return logits.map((x) => x - mean);
}

/** The largest difference of any logit of an image, a constant of it taken away. */
function apart(probabilities: Iterable<number>, geometry: Geometry, name: string): number {
  const expected = centred((foreign.logits[geometry] as unknown as Record<string, number[]>)[name]!);
  const ours = centred(Array.from(probabilities, Math.log));
  expect(ours).toHaveLength(expected.length);
  return Math.max(...ours.map((x, i) => Math.abs(x - expected[i]!)));
}

/** Name of the file → its row of the report. */
function rowsOf({ indices, probabilities }: EvaluationReport): Map<string, Float32Array> {
  const classes = photographs.length;
  return new Map(
    indices.map((index, i) => [
      dataset.images[index]!.path.replace(/.*\//, ''),
      probabilities.subarray(i * classes, (i + 1) * classes),
    ]),
  );
}

beforeAll(async () => {
  const files = photographs.flatMap((name, i) =>
    ['Train', 'Test'].map((split) => [`${split}/class ${i}/${name}`, photograph(name)] as const),
  );
  const options = { store: datasets, decoder, imgSize: 64, decoders: 2, signal: new AbortController().signal };
  const zip = await zipOf(Object.fromEntries(files));
  dataset = await importFiles({ files: [{ path: 'a.zip', file: zip }], name: 'a.zip', source: 'zip' }, options);
  for (const geometry of geometries) {
    const record = { ...newRun(geometry, settings(geometry), dataset, null, null), latestEpoch: 1, bestEpoch: 1 };
    await runs.writeCheckpoint(record, 1, writeCheckpoint(checkpointOf(geometry)));
  }
});

describe.each(geometries)('files’ bytes to probabilities, %s', (geometry) => {
  let rows: Map<string, Float32Array>;
  beforeAll(async () => {
    rows = rowsOf(await model.evaluate({ runId: geometry, split: 'test' }));
  });

  it.each(['PNG', 'JPEG'])('are torchvision’s: %s', async (kind) => {
    const own = [...rows].filter(([name]) => name.endsWith(kind === 'PNG' ? '.png' : '.jpg'));
    expect(own.length).toBeGreaterThanOrEqual(2);
    const decoded = await Promise.all(
      own.map(async ([name]) =>
        differenceOf(
          await decoder.decode(photograph(name)),
          (foreign.decoded as Record<string, Pixels>)[`photographs/${name}`]!,
        ),
      ),
    );
    // One level of 255 in a hundredth of the pixels, which is let pass of a JPEG decoder, moves these logits by 1.3e-3 (by torch).
    const tolerance = decoded.every(({ worst }) => worst === 0) ? 1e-4 : 2e-3;
    judged({
      quantity: `logits from the bytes of ${kind} files, ${geometry}, 64 px: largest difference`,
      network: architecture,
      on: 'wasm',
      error: Math.max(...own.map(([name, row]) => apart(row, geometry, name))),
      tolerance,
      spread: foreign.logits[geometry].float32Error,
      command: 'npm test -- samePixels',
    });
  });

  it('are the same to the bit in Evaluate and in Try', async () => {
    for (const [name, row] of rows) {
      const { classes } = await model.predict({ runId: geometry, file: new Blob([photograph(name)]) });
      const tried = new Map(classes.map(({ label, probability }) => [label, probability]));
      expect(
        dataset.classes.map((label) => tried.get(label)),
        name,
      ).toEqual([...row]);
    }
  });

  it('are what each export asks the phone to do with an image that isn’t square', async () => {
    const { output } = config;
    const exported = async (format: 'mlpackage' | 'safetensors'): Promise<Uint8Array> => {
      const { blob } = await model.exportModel({ runId: geometry, format, output });
      return new Uint8Array(await blob.arrayBuffer());
    };
    const part = async (zip: Uint8Array | ArrayBuffer, path: RegExp): Promise<Uint8Array> =>
      (await JSZip.loadAsync(zip)).file(path)[0]!.async('uint8array');

    const { description } = fromBinary(ModelSchema, await part(await exported('mlpackage'), /model\.mlmodel$/));
    // Names of Vision's options: VNImageCropAndScaleOption in Apple's documentation.
    const option = { center_crop: 'centerCrop', squash: 'scaleFill' }[geometry];
    expect(description?.metadata?.userDefined['pacerid.image_crop_and_scale_option']).toBe(
      `VNImageCropAndScaleOption.${option}`,
    );
    expect(readSafetensors(await exported('safetensors')).metadata['geometry']).toBe(geometry);
    const { blob } = await model.exportDemo({ runId: geometry, output });
    const described = new TextDecoder().decode(await part(await blob.arrayBuffer(), /model\/model\.json$/));
    expect(JSON.parse(described)).toMatchObject({ geometry, imageSize: 64 });
  });

  it('would not be torchvision’s if images were resized twice', async () => {
    const checkpoint = checkpointOf(geometry);
    const engine = await openInNode('wasm');
    const caches = imageSource(datasets, dataset, { cacheBytes: 2 ** 24 });
    const { mean, std } = architectures[architecture];
    const twice = {
      read: async (indices: readonly number[]) =>
        (await caches.read(indices)).map((image) => evaluationCrop(image, 64, geometry)),
    };
    const report = await evaluate(
      await networkOf(checkpoint, engine),
      twice,
      dataset.images.flatMap(({ given }, i) => (given === 'test' ? [i] : [])),
      dataset.images,
      dataset.classes,
      { split: 'test', size: 64, mean, std, batch: 8, temperature: 1 },
    );
    await engine.dispose();
    expect(apart(rowsOf(report).get('pagoda.jpg')!, geometry, 'pagoda.jpg')).toBeGreaterThan(1e-3);
  });
});

it('training without augmentation sees the same pixels: the loss of its first step is torch’s', async () => {
  const { blob } = await model.exportModel({ runId: 'center_crop', format: 'safetensors' });
  const { id: weightsId } = await model.importWeights({ file: blob, name: 'formula', architecture });
  const base = settings('center_crop');
  const training = {
    ...base.training,
    epochs: 1,
    // The backbone in eval mode, and no dropout: the very network whose logits are known.
    layers: 'head' as const,
    augmentation: { ...base.training.augmentation, enabled: false },
  };
  const started = { config: { ...config, ...base, training }, datasetId: dataset.id, weightsId };
  const { runId } = await trainer.start(started);
  const [first] = foldRun(await trainer.events({ runId })).steps;
  const costs = photographs.map((name, label) => {
    const logits = (foreign.logits.center_crop as unknown as Record<string, number[]>)[name]!;
    return Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - logits[label]!;
  });
  judged({
    quantity: 'loss of the first step without augmentation, head only, from the bytes of files, 64 px',
    network: architecture,
    on: 'wasm',
    error: Math.abs(first!.loss - costs.reduce((sum, x) => sum + x, 0) / costs.length),
    tolerance: 2e-5,
    command: 'npm test -- samePixels',
  });
});

it('an image that is no crop is not taken for one', async () => {
  const engine = await openInNode('wasm');
  const network = await networkOf(checkpointOf('squash'), engine);
  const { mean, std } = architectures[architecture];
  const options = { split: 'test', size: 64, mean, std, batch: 8, temperature: 1 } as const;
  const caches = imageSource(datasets, dataset, { cacheBytes: 2 ** 24 });
  const attempt = evaluate(network, caches, [0], dataset.images, dataset.classes, options);
  await expect(attempt).rejects.toThrow('are no crop of 64');
  await engine.dispose();
});
