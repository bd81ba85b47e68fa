import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import { Float16RangeError } from '../../../src/export/floatBytes.ts';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import {
  ModelProtoSchema,
  TensorProto_DataType as DataType,
  type ModelProto,
  type NodeProto,
} from '../../../src/export/onnx/generated/onnx_pb.ts';
import type { Weights } from '../../../src/graph/types.ts';
import { interpreter } from '../../../src/parity/interpreter/index.ts';
import { readOnnx } from '../../../src/parity/onnx/read.ts';
import { float16Value } from '../../../src/weights/float16.ts';
import { formulaImages, formulaWeights, signed } from '../support/formulaWeights.ts';
import { exportInput, flatWeights, judgedMetadata } from '../support/exportInput.ts';
import { judged } from '../support/judged.ts';
import { logitsCases } from '../support/torchvisionLogits.ts';
import { secondsOf } from '../support/processorSeconds.ts';

const size = 64;

function inputFor(
  name: ArchitectureName,
  { classes = 3, ...options }: Partial<ExportInput> & { classes?: number } = {},
): ExportInput {
  const labels = options.labels ?? Array.from({ length: classes }, (_, i) => `MAKER - Model ${i}`);
  const metadata = { ...judgedMetadata, version: '1.2.345', ...options.metadata };
  return exportInput(name, labels, flatWeights, { ...options, metadata });
}

const write = async (input: ExportInput) => (await exportFormats.onnx.write(input)).bytes;
const decoded = async (input: ExportInput): Promise<ModelProto> => fromBinary(ModelProtoSchema, await write(input));
const nodesOf = (model: ModelProto): readonly NodeProto[] => model.graph!.node;
const metadataOf = (model: ModelProto) => new Map(model.metadataProps.map(({ key, value }) => [key, value]));
const tensorOf = (model: ModelProto, name: string) => model.graph!.initializer.find((tensor) => tensor.name === name)!;
function counts(model: ModelProto): Record<string, number> {
  const result: Record<string, number> = {};
  for (const { opType } of nodesOf(model)) result[opType] = (result[opType] ?? 0) + 1;
  return result;
}
/** Values that an initializer of the given type holds. */
function numbers(model: ModelProto, name: string): number[] {
  const { dataType, rawData } = tensorOf(model, name);
  const { buffer } = Uint8Array.from(rawData);
  if (dataType === DataType.FLOAT) return [...new Float32Array(buffer)];
  if (dataType === DataType.FLOAT16) return Array.from(new Uint16Array(buffer), float16Value);
  return dataType === DataType.INT8 ? [...new Int8Array(buffer)] : [...rawData];
}

describe('an ONNX file', () => {
  // What torch.onnx exports of torchvision's networks with preprocessing and softmax (tests/python/judge_onnx.py prints the kinds): its
  // preprocessing is Div, Sub, Div where ours is Mul, Add; it writes a Concat of one before each dense block (4), and Pad, Constant and
  // Identity besides.
  it.each([
    [
      'densenet121',
      {
        Conv: 120,
        BatchNormalization: 62,
        Relu: 121,
        Concat: 62 - 4,
        AveragePool: 3,
        MaxPool: 1,
        GlobalAveragePool: 1,
        Mul: 1,
        Add: 1,
      },
    ],
    ['mobilenet_v3_small', { Conv: 52, HardSigmoid: 28, Relu: 14, GlobalAveragePool: 10, Mul: 28 + 1, Add: 6 + 1 }],
    ['resnet50', { Conv: 53, Relu: 49, MaxPool: 1, GlobalAveragePool: 1, Mul: 1, Add: 16 + 1 }],
  ] as const)('of %s has the operators of torch’s own', async (name, kinds) => {
    const gemm = name === 'mobilenet_v3_small' ? 2 : 1;
    expect(counts(await decoded(inputFor(name)))).toEqual({ ...kinds, Flatten: 1, Gemm: gemm, Softmax: 1 });
  });

  it('takes a batch of RGB images and gives probabilities, whatever the precision', async () => {
    for (const precision of ['float32', 'float16'] as const) {
      const model = await decoded(inputFor('tiny', { precision }));
      expect(model).toMatchObject({ irVersion: 8n, opsetImport: [{ domain: '', version: 17n }] });
      const [image] = model.graph!.input;
      expect(model.graph!.input).toHaveLength(1);
      expect(image).toMatchObject({ name: 'image', type: { denotation: 'IMAGE' } });
      const ends = [...model.graph!.input, ...model.graph!.output].map(({ name, type }) => [
        name,
        type!.value.value!.elemType,
        type!.value.value!.shape!.dim.map(({ value }) => value.value),
      ]);
      expect(ends).toEqual([
        ['image', DataType.FLOAT, ['N', 3n, 64n, 64n]],
        ['probabilities', DataType.FLOAT, ['N', 3n]],
      ]);
    }
  });

  it('says what it is, as the standard has it and as every format of ours does', async () => {
    const input = inputFor('tiny');
    const { fileName } = await exportFormats.onnx.write(input);
    const model = await decoded(input);
    expect(fileName).toBe('PacerIDClassifier.onnx');
    expect(model).toMatchObject({
      producerName: 'PacerID Studio',
      docString: 'Names the device. Not a medical device.',
      // The example of onnx/docs/Versioning.md.
      modelVersion: 0x0001000200000159n,
    });
    expect(Object.fromEntries(metadataOf(model))).toMatchObject({
      'Image.BitmapPixelFormat': 'Rgb8',
      'Image.NominalPixelRange': 'NominalRange_0_255',
      'pacerid.author': 'A. Uthor',
      'pacerid.classes': JSON.stringify(input.labels),
      'pacerid.config': '{"a":1}',
      'pacerid.dataset_sha256': 'abc',
      'pacerid.image_crop_and_scale_option': 'VNImageCropAndScaleOption.centerCrop',
      'pacerid.test': '92.5 % of 40 held-out images right (95 % interval 80.1–97.4 %)',
      'pacerid.version': '1.2.345',
    });
    const version = (text: string) => decoded({ ...input, metadata: { ...input.metadata, version: text } });
    expect((await version('next')).modelVersion).toBe(0n);
    expect((await version('v40000.0.1')).modelVersion).toBe(BigInt.asIntN(64, 0x9c40000000000001n));
  });

  it('normalises and takes the softmax in float32, and computes the rest in float16', async () => {
    const model = await decoded(inputFor('tiny', { precision: 'float16', makerOutput: true }));
    const kinds = nodesOf(model).map(({ opType }) => opType);
    expect(kinds.slice(0, 4)).toEqual(['Mul', 'Add', 'Cast', 'Conv']);
    expect(kinds.slice(-4)).toEqual(['Gemm', 'Cast', 'Softmax', 'MatMul']);
    const casts = nodesOf(model).filter(({ opType }) => opType === 'Cast');
    expect(casts.map(({ attribute: [to] }) => Number(to!.i))).toEqual([DataType.FLOAT16, DataType.FLOAT]);
    const float32 = model.graph!.initializer.filter(({ dataType }) => dataType !== DataType.FLOAT16);
    expect(float32.map(({ name }) => name)).toEqual([
      'preprocessing.scale',
      'preprocessing.shift',
      'makers_of_classes',
    ]);
  });

  it('names every value once, before it is used, and parameters as torchvision does', async () => {
    const model = await decoded(inputFor('mobilenet_v3_small', { precision: 'float16', weightStorage: 'palettized' }));
    const known = new Set(['image', ...model.graph!.initializer.map(({ name }) => name)]);
    expect(known.size).toBe(1 + model.graph!.initializer.length);
    expect(known).toContain('classifier.3.bias');
    for (const { input, output } of nodesOf(model)) {
      for (const name of input) expect(known).toContain(name);
      for (const name of output) {
        expect(known).not.toContain(name);
        known.add(name);
      }
    }
    expect(known).toContain('classifier.3.weight');
  });

  it('is the same bytes for the same model, and others for another', async () => {
    const first = Buffer.from(await write(inputFor('tiny')));
    expect(first.equals(await write(inputFor('tiny')))).toBe(true);
    expect(first.equals(await write(inputFor('tiny', { precision: 'float16' })))).toBe(false);
  });

  it('of DenseNet121 is written in less than two seconds', async () => {
    const input = inputFor('densenet121', { classes: 45, precision: 'float16' });
    expect((await secondsOf(() => write(input))).total).toBeLessThan(2);
  });

  it('needs a label for every class, weights that float16 holds, and images that the network can take', async () => {
    const input = inputFor('tiny');
    await expect(write({ ...input, labels: ['a'] })).rejects.toThrow('1 labels for 3 classes');
    const weights = new Map(input.weights).set('classifier.bias', { shape: [3], data: Float32Array.of(0, 70000, 0) });
    await expect(write({ ...input, weights, precision: 'float16' })).rejects.toThrow(Float16RangeError);
    await expect(write({ ...input, weights, precision: 'float16' })).rejects.toThrow('classifier.bias holds 70000');
    await expect(write({ ...input, weights })).resolves.toBeDefined();
    await expect(write(inputFor('densenet121', { imageSize: 16 }))).rejects.toThrow('too small for densenet121');
  });
});

describe('labels and makers', () => {
  const odd = ['MDT - "Azure", XT', "MDT - l'Évia\\n", '心臓 - 1\n2', '🫀', '', '{"a":[1,2]}', 'BOS - x'];
  it('survive whatever is in them', async () => {
    const model = await decoded(inputFor('tiny', { labels: odd, makerOutput: true }));
    const metadata = metadataOf(model);
    expect(JSON.parse(metadata.get('pacerid.classes')!)).toEqual(odd);
    const makers = ['MDT', '心臓', '🫀', '', '{"a":[1,2]}', 'BOS'];
    expect(JSON.parse(metadata.get('pacerid.makers')!)).toEqual(makers);
    expect(numbers(model, 'makers_of_classes')).toEqual(
      [0, 0, 1, 2, 3, 4, 5].flatMap((maker) => makers.map((_, i) => (i === maker ? 1 : 0))),
    );
    expect(model.graph!.output[1]!.type!.value.value!.shape!.dim[1]!.value.value).toBe(6n);
  });

  it('survive in number: 200', async () => {
    const labels = Array.from({ length: 200 }, (_, i) => `Maker ${i % 17}, "${i}" - Модель ${i}`);
    const bytes = await write(inputFor('tiny', { labels, makerOutput: true }));
    const read = await readOnnx(bytes);
    expect(read.labels).toEqual(labels);
    expect(read.makers?.names).toHaveLength(200);
  });
});

describe('numbers', () => {
  const weight = 'features.4.conv.weight';
  /** `tiny` with weights that all differ. */
  function random(options: Partial<ExportInput>): ExportInput {
    const input = inputFor('tiny', options);
    return { ...input, weights: formulaWeights(input.graph) };
  }

  it('in 8 bits by channel: each weight within half a step of what it was', async () => {
    const full = await decoded(random({}));
    const model = await decoded(random({ weightStorage: 'linear' }));
    const [before, values] = [numbers(full, weight), numbers(model, `${weight}.quantized`)];
    const [scale, zero] = [numbers(model, `${weight}.scale`), numbers(model, `${weight}.zero_point`)];
    expect(scale).toHaveLength(64);
    const apart = before.map((one, i) => {
      const channel = Math.floor(i / (before.length / 64));
      return Math.abs((values[i]! - zero[channel]!) * scale[channel]! - one) / scale[channel]!;
    });
    expect(Math.max(...apart)).toBeLessThan(0.501);
    // As the specification has it, in the type of the arithmetic.
    for (const precision of ['float32', 'float16'] as const) {
      const { constants } = await readOnnx(await write(random({ weightStorage: 'linear', precision })));
      const back = constants.get(weight)!.data;
      expect(Math.max(...before.map((one, i) => Math.abs(back[i]! - one)))).toBeLessThan(0.6 * Math.max(...scale));
    }
    // The smallest tensors stay as they are.
    expect(tensorOf(model, 'classifier.weight').dataType).toBe(DataType.FLOAT);
    expect(counts(model)).toMatchObject({ DequantizeLinear: 5 });
  });

  it('in 8 bits by a table: no more than 256 of them, near what they were', async () => {
    const full = await decoded(random({}));
    const model = await decoded(random({ weightStorage: 'palettized', precision: 'float16' }));
    const [before, indices] = [numbers(full, weight), numbers(model, `${weight}.indices`)];
    const palette = numbers(model, `${weight}.palette`);
    expect(palette).toHaveLength(256);
    const range = Math.max(...before) - Math.min(...before);
    const apart = before.map((one, i) => Math.abs(palette[indices[i]!]! - one));
    // Steps of equal width would be at most range / 510 away; a table by least squares has a few wider ones.
    expect(Math.max(...apart)).toBeLessThan(range / 100);
    expect(apart.reduce((sum, one) => sum + one) / apart.length).toBeLessThan(range / 800);
    expect(counts(model)).toMatchObject({ Gather: 5 });
  });

  it('of a batch norm that nothing folds: in float16 its scale and shift, rounded once', async () => {
    const input = inputFor('densenet121');
    const norm = 'features.norm5';
    const channels = 1024;
    const draw = (kind: string, of: (value: number) => number) => Float32Array.from(signed(kind, channels), of);
    const statistics: Record<string, Float32Array> = {
      weight: draw('weight', (u) => 1 + 0.25 * u),
      bias: draw('bias', (u) => u),
      running_mean: draw('mean', (u) => 1e-4 * u),
      // Below what float16 holds.
      running_var: draw('var', (u) => 2e-8 * (1 + 0.5 * u)),
    };
    const weights: Weights = new Map([
      ...input.weights,
      ...Object.entries(statistics).map(([kind, data]) => [`${norm}.${kind}`, { shape: [channels], data }] as const),
    ]);
    for (const eps of [1e-5, 0.1]) {
      const nodes = input.graph.nodes.map((node) => (node.op === 'batchNorm2d' ? { ...node, eps } : node));
      const model = await decoded({ ...input, graph: { ...input.graph, nodes }, weights, precision: 'float16' });
      const entry = nodesOf(model).find(({ name }) => name === norm)!;
      const epsilon = entry.attribute.find(({ name }) => name === 'epsilon')!.f;
      const [gamma, beta, mean, variance] = entry.input.slice(1).map((name) => numbers(model, name));
      for (let c = 0; c < channels; c++) {
        const of = (kind: string) => statistics[kind]![c]!;
        for (const x of [0, 1e-3]) {
          const wanted = (of('weight') * (x - of('running_mean'))) / Math.sqrt(of('running_var') + eps) + of('bias');
          const found = (gamma![c]! * (x - mean![c]!)) / Math.sqrt(variance![c]! + epsilon) + beta![c]!;
          expect(Math.abs(found - wanted)).toBeLessThan(2e-3);
        }
        const scale = of('weight') / Math.sqrt(of('running_var') + eps);
        expect(Math.abs(gamma![c]! / Math.sqrt(1 + epsilon) / scale - 1)).toBeLessThan(2 ** -10);
      }
    }
  });

  it.each([
    ['mobilenet_v3_small', 'float32', 1, 1e-5],
    ['mobilenet_v3_small', 'float32', 2, 1e-5],
    ['mobilenet_v3_small', 'float16', 1, 5e-3],
    ['densenet121', 'float32', 1, 1e-5],
  ] as const)('are torchvision’s: %s, %s, temperature %i', async (name, precision, temperature, tolerance) => {
    const torch = logitsCases.find((one) => one.architecture === name && one.classes === 45 && one.size === size)!;
    const input = inputFor(name, { classes: 45, precision, temperature });
    const bytes = await write({ ...input, weights: formulaWeights(input.graph) });
    const pixels = formulaImages(2, size)
      .subarray(0, size * size * 3)
      .map((value, i) => 255 * (value * input.std[i % 3]! + input.mean[i % 3]!));
    const { probabilities } = await interpreter(await readOnnx(bytes)).run(pixels);
    const powers = torch.logits.slice(0, 45).map((logit) => Math.exp(logit / temperature));
    const sum = powers.reduce((a, b) => a + b);
    judged({
      quantity: `ONNX export, ${precision}${temperature === 1 ? '' : `, temperature ${temperature}`}: |Δp| from torch`,
      network: name,
      on: 'processor',
      error: Math.max(...powers.map((power, i) => Math.abs(power / sum - probabilities[i]!))),
      tolerance,
      command: 'npm test -- export/onnx',
    });
  });
});
