import { describe, expect, it } from 'vitest';
import { DataType } from '../../../src/export/coreml/generated/MIL_pb.ts';
import { writeMilProgram } from '../../../src/export/coreml/milProgram.ts';
import { weightBlobWriter } from '../../../src/export/coreml/weightBlob.ts';
import { exportGraph } from '../../../src/export/exportGraph.ts';
import { encode, Float16RangeError } from '../../../src/export/floatBytes.ts';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import { readSafetensors } from '../../../src/weights/safetensors.ts';
import { secondsOf } from '../support/processorSeconds.ts';
import { counts, inputFor, operationsOf, unpack } from './coremlPackage.ts';

describe('the weight file', () => {
  it('is blob storage, version 2, byte for byte', () => {
    const writer = weightBlobWriter();
    expect(writer.add(encode('a', Float32Array.of(1, -2), 'float16'), 'float16')).toBe(64);
    expect(writer.add(encode('b', new Float32Array(17).fill(1), 'float32'), 'float32')).toBe(192);
    const file = writer.finish();
    // By hand after StorageFormat.hpp: header, metadata + 4 bytes, metadata + 68 bytes, each padded to 64.
    const expected = new Uint8Array(384);
    expected.set([2, 0, 0, 0, 2, 0, 0, 0], 0);
    expected.set([0xef, 0xbe, 0xad, 0xde, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 128], 64);
    expected.set([0x00, 0x3c, 0x00, 0xc0], 128);
    expected.set([0xef, 0xbe, 0xad, 0xde, 2, 0, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0, 0, 1], 192);
    for (let i = 0; i < 17; i++) expected.set([0, 0, 0x80, 0x3f], 256 + 4 * i);
    expect([...file]).toEqual([...expected]);
  });

  it('refuses a weight that float16 cannot hold', () => {
    expect(() => encode('w', Float32Array.of(0, 70000), 'float16')).toThrow(Float16RangeError);
    expect(() => encode('w', Float32Array.of(0, 70000), 'float16')).toThrow('70000');
    expect(() => encode('w', Float32Array.of(70000), 'float32')).not.toThrow();
  });
});

describe('a Core ML package', () => {
  // What coremltools 9's own converter writes for torchvision's network with /255, mean, std and softmax; in place of its three
  // operations of preprocessing there are two, it puts a thresholded_relu before each hardswish (19), a mul where our add
  // counts, and a concat of one before each dense block (4).
  it.each([
    [
      'densenet121',
      {
        conv: 120,
        batch_norm: 62,
        relu: 121,
        concat: 62 - 4,
        avg_pool: 3,
        max_pool: 1,
        reduce_mean: 1,
        reshape: 1,
        linear: 1,
      },
      { mul: 1, add: 1 },
    ],
    [
      'mobilenet_v3_small',
      { conv: 52, sigmoid_hard: 28, relu: 14, reduce_mean: 10, reshape: 1, linear: 2 },
      { mul: 30 - 2 + 1, add: 6 + 1 },
    ],
    ['resnet50', { conv: 53, relu: 49, max_pool: 1, reduce_mean: 1, reshape: 1, linear: 1 }, { mul: 1, add: 16 + 1 }],
  ] as const)('of %s has the operations of Apple’s converter', async (name, same, elementwise) => {
    const { bytes } = await exportFormats.mlpackage.write(inputFor(name, { precision: 'float32' }));
    const { model } = await unpack(bytes);
    expect(counts(model)).toEqual({ ...same, ...elementwise, softmax: 1, classify: 1 });
  });

  it('takes an RGB image and gives a label and its probabilities', async () => {
    const { bytes, fileName } = await exportFormats.mlpackage.write(inputFor('tiny'));
    const { model } = await unpack(bytes);
    const { description } = model;
    expect(fileName).toBe('PacerIDClassifier.mlpackage.zip');
    expect(model.specificationVersion).toBe(6);
    expect(description?.input.map(({ name, type }) => [name, type?.Type.case])).toEqual([['image', 'imageType']]);
    expect(description?.output.map(({ name, type }) => [name, type?.Type.case])).toEqual([
      ['classLabel', 'stringType'],
      ['classLabel_probs', 'dictionaryType'],
    ]);
    expect(description?.predictedFeatureName).toBe('classLabel');
    expect(description?.predictedProbabilitiesName).toBe('classLabel_probs');
    expect(description?.metadata).toMatchObject({
      author: 'A. Uthor',
      versionString: '1.2.3',
      shortDescription: 'Names the device. Not a medical device.',
    });
    expect(description?.metadata?.userDefined).toMatchObject({
      'pacerid.config': '{"a":1}',
      'pacerid.dataset_sha256': 'abc',
      'pacerid.test': '92.5 % of 40 held-out images right (95 % interval 80.1–97.4 %)',
      'pacerid.image_crop_and_scale_option': 'VNImageCropAndScaleOption.centerCrop',
      'pacerid.intended_use': 'Teaching.',
    });
  });

  it('says so where nothing was held out', async () => {
    const input = inputFor('tiny');
    const { bytes } = await exportFormats.mlpackage.write({ ...input, metadata: { ...input.metadata, test: null } });
    const { model } = await unpack(bytes);
    expect(model.description?.metadata?.userDefined['pacerid.test']).toBe('not tested on held-out images');
  });

  it('normalises and takes the softmax in float32, and computes the rest in float16', async () => {
    const { bytes } = await exportFormats.mlpackage.write(inputFor('tiny'));
    const { model } = await unpack(bytes);
    const order = operationsOf(model).flatMap(({ type, outputs: [output] }) =>
      output?.type?.type.case === 'tensorType' && type !== 'const' && type !== 'classify'
        ? [`${type} ${DataType[output.type.type.value.dataType]}`]
        : [],
    );
    expect(order.slice(0, 4)).toEqual(['mul FLOAT32', 'add FLOAT32', 'cast FLOAT16', 'conv FLOAT16']);
    expect(order.slice(-3)).toEqual(['linear FLOAT16', 'cast FLOAT32', 'softmax FLOAT32']);
    expect(order.slice(3, -2).every((entry) => entry.endsWith('FLOAT16'))).toBe(true);
  });

  it('names every value once, in MIL’s alphabet, before it is used', async () => {
    const { bytes } = await exportFormats.mlpackage.write(inputFor('mobilenet_v3_small'));
    const { model } = await unpack(bytes);
    const known = new Set(['image']);
    for (const operation of operationsOf(model)) {
      for (const { arguments: list } of Object.values(operation.inputs)) {
        for (const { binding } of list) if (binding.case === 'name') expect(known).toContain(binding.value);
      }
      for (const { name } of operation.outputs) {
        expect(name).toMatch(/^[A-Za-z_][A-Za-z0-9_@]*$/);
        expect(known).not.toContain(name);
        known.add(name);
      }
    }
  });

  it('has the folder at the top of the zip, and a manifest that points at both items', async () => {
    const { bytes } = await exportFormats.mlpackage.write(inputFor('tiny'));
    const { zip } = await unpack(bytes);
    expect(new Set(Object.keys(zip.files).map((path) => path.split('/')[0]))).toEqual(
      new Set(['PacerIDClassifier.mlpackage']),
    );
    const manifest = JSON.parse(await zip.file('PacerIDClassifier.mlpackage/Manifest.json')!.async('string')) as {
      rootModelIdentifier: string;
      itemInfoEntries: Record<string, { path: string; name: string; author: string }>;
    };
    const identifiers = Object.keys(manifest.itemInfoEntries);
    for (const id of identifiers)
      expect(id).toMatch(/^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/);
    expect(manifest.itemInfoEntries[manifest.rootModelIdentifier]?.path).toBe('com.apple.CoreML/model.mlmodel');
    expect(Object.values(manifest.itemInfoEntries).map(({ path }) => path)).toContain('com.apple.CoreML/weights');
  });

  it('is the same bytes for the same model, and others for another', async () => {
    const write = async (input: ExportInput) => Buffer.from((await exportFormats.mlpackage.write(input)).bytes);
    const first = await write(inputFor('tiny'));
    await new Promise((resolve) => setTimeout(resolve, 2100)); // A zip's clock ticks every two seconds.
    expect((await write(inputFor('tiny'))).equals(first)).toBe(true);
    expect((await write(inputFor('tiny', { precision: 'float32' }))).equals(first)).toBe(false);
  });

  it('halves the weights in float16', async () => {
    const size = async (precision: 'float16' | 'float32') =>
      (await unpack((await exportFormats.mlpackage.write(inputFor('mobilenet_v3_small', { precision }))).bytes))
        .weightFile.length;
    expect((await size('float16')) / (await size('float32'))).toBeCloseTo(0.5, 1);
  });

  /** Numbers that differ, but for the variances. */
  function densenet(precision: 'float16' | 'float32'): ExportInput {
    const input = inputFor('densenet121', { classes: 45, precision });
    for (const { data } of input.weights.values()) if (data[0] !== 1) data.forEach((_, i) => (data[i] = Math.sin(i)));
    return input;
  }

  it.each(['float16', 'float32'] as const)(
    'of DenseNet121 in %s is written in less than two seconds, and nobody waits for half of one meanwhile',
    async (precision) => {
      const input = densenet(precision);
      const { total, longest } = await secondsOf(() => exportFormats.mlpackage.write(input));
      expect(total).toBeLessThan(2);
      // The sum over 28 MB that the zip wants is the longest.
      expect(longest).toBeLessThan(0.5);
    },
  );

  it('gives others their turn while halves are made of DenseNet121’s numbers', async () => {
    const input = densenet('float16');
    const exported = exportGraph(input);
    // After 50 ms at the earliest, of which this takes several.
    expect((await secondsOf(() => writeMilProgram({ ...input, ...exported }))).turns).toBeGreaterThan(0);
  });

  it('needs a label for every class', async () => {
    await expect(exportFormats.mlpackage.write(inputFor('tiny', { labels: ['a'] }))).rejects.toThrow('1 labels');
  });
});

describe('a safetensors export', () => {
  it('holds the weights as they are, and what is needed to use them', async () => {
    const input = inputFor('mobilenet_v3_small');
    const { bytes, fileName } = await exportFormats.safetensors.write(input);
    expect(fileName).toBe('PacerIDClassifier.safetensors');
    const { tensors, metadata } = readSafetensors(bytes);
    expect([...tensors.keys()].sort()).toEqual([...input.weights.keys()].sort());
    for (const [name, { shape, data }] of input.weights) {
      expect(tensors.get(name)?.shape).toEqual(shape);
      expect(Buffer.from(tensors.get(name)!.data.buffer).equals(Buffer.from(data.buffer))).toBe(true);
    }
    expect(metadata).toMatchObject({ batch_norm_eps: '0.001', architecture: 'mobilenet_v3_small', image_size: '64' });
    expect(JSON.parse(metadata['classes'] ?? '')).toEqual(input.labels);
  });
});
