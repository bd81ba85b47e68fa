import { describe, expect, it } from 'vitest';
import type { Operation, Value } from '../../../src/export/coreml/generated/MIL_pb.ts';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import { float16Value } from '../../../src/weights/float16.ts';
import { inputFor, operationsOf, unpack } from './coremlPackage.ts';

/** Weights between −0.1 and 0.1, all different: what is packed can be told apart. */
function variedInput(options: Parameters<typeof inputFor>[1] = {}): ExportInput {
  const input = inputFor('mobilenet_v3_small', options);
  const weights = new Map(
    [...input.weights].map(([name, { shape, data }], index) => [
      name,
      name.endsWith('.weight') && shape.length > 1
        ? { shape, data: data.map((_, i) => 0.1 * Math.sin(i * 1.7 + index)) }
        : { shape, data },
    ]),
  );
  return { ...input, weights };
}

const write = async (input: ExportInput) => unpack((await exportFormats.mlpackage.write(input)).bytes);

/** A part's bytes, wherever they are; StorageFormat.hpp: 64 bytes of metadata, then the data. */
function bytesOf(value: Value | undefined, weightFile: Uint8Array): { type: number | null; bytes: Uint8Array } {
  if (value?.value.case !== 'blobFileValue') throw new Error('not in the weight file');
  const view = new DataView(weightFile.buffer, weightFile.byteOffset);
  const at = Number(value.value.value.offset);
  const [size, start] = [Number(view.getBigUint64(at + 8, true)), Number(view.getBigUint64(at + 16, true))];
  return { type: view.getUint32(at + 4, true), bytes: weightFile.slice(start, start + size) };
}
const halves = (bytes: Uint8Array) => Float32Array.from(new Uint16Array(bytes.buffer), float16Value);
const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const packed = (operations: readonly Operation[]) => operations.filter(({ type }) => type.startsWith('constexpr'));
const named = (operations: readonly Operation[], name: string) =>
  operations.find(({ outputs }) => outputs[0]?.name === name)!;

describe('weights in 8 bits', () => {
  it('are asked of iOS 16, and full ones of iOS 15', async () => {
    for (const [weightStorage, version, opset] of [
      ['full', 6, 'CoreML5'],
      ['palettized', 7, 'CoreML6'],
      ['linear', 7, 'CoreML6'],
    ] as const) {
      const { model } = await write(inputFor('tiny', { weightStorage }));
      expect(model.specificationVersion).toBe(version);
      const main = model.Type.case === 'mlProgram' && model.Type.value.functions['main'];
      expect(main && main.opset).toBe(opset);
      expect(main && Object.keys(main.blockSpecializations)).toEqual([opset]);
      expect(model.description?.metadata?.userDefined['pacerid.weights']).toBe(weightStorage);
    }
  });

  // features.12.0 is followed by a batch norm that the folding would scale; the first linear layer is as it was trained.
  it('name a colour of a palette each, the nearest', async () => {
    const input = variedInput({ weightStorage: 'palettized' });
    const { model, weightFile } = await write(input);
    const { attributes } = named(operationsOf(model), 'classifier_0_weight');
    const indices = bytesOf(attributes['indices'], weightFile);
    const lut = bytesOf(attributes['lut'], weightFile);
    // BlobDataType.hpp: 3 is uint8, 1 is float16.
    expect([indices.type, lut.type]).toEqual([3, 1]);
    const palette = halves(lut.bytes);
    expect(palette.length).toBe(256);
    const { data, shape } = input.weights.get('classifier.0.weight')!;
    expect(indices.bytes.length).toBe(data.length);
    expect(attributes['shape']?.value.value).toMatchObject({
      value: {
        case: 'tensor',
        value: { value: { value: { values: new Uint8Array(Uint32Array.from(shape).buffer) } } },
      },
    });
    // A sine's values are 0.2 apart at most, 256 colours of them less than 0.001.
    expect(largest(data.map((value, i) => palette[indices.bytes[i]!]! - value))).toBeLessThan(0.001);
  });

  it('are numbers of steps of their channel’s scale from its zero point', async () => {
    const input = variedInput({ weightStorage: 'linear' });
    const { model, weightFile } = await write(input);
    const { attributes } = named(operationsOf(model), 'classifier_0_weight');
    const numbers = bytesOf(attributes['quantized_data'], weightFile);
    const zeroPoint = bytesOf(attributes['zero_point'], weightFile);
    const scale = bytesOf(attributes['scale'], weightFile);
    expect([numbers.type, zeroPoint.type, scale.type]).toEqual([4, 4, 1]);
    const { data, shape } = input.weights.get('classifier.0.weight')!;
    const [scales, zeros, steps] = [halves(scale.bytes), new Int8Array(zeroPoint.bytes), new Int8Array(numbers.bytes)];
    expect([scales.length, zeros.length, steps.length]).toEqual([shape[0], shape[0], data.length]);
    const differences = data.map((value, i) => {
      const channel = Math.floor(i / shape[1]!);
      return scales[channel]! * (steps[i]! - zeros[channel]!) - value;
    });
    expect(largest(differences)).toBeLessThan(0.001);
  });

  it('leave small tensors, biases and batch norms as they are', async () => {
    const { model } = await write(variedInput({ weightStorage: 'linear' }));
    const names = packed(operationsOf(model)).map(({ outputs }) => outputs[0]!.name);
    // 16 · 3 · 3 · 3 and 16 · 9 are too few; coremltools' own limit is 2048.
    expect(names).not.toContain('features_0_0_weight');
    expect(names).not.toContain('features_1_block_0_0_weight');
    expect(names).toContain('features_12_0_weight');
    expect(names.filter((name) => name.includes('bias'))).toEqual([]);
  });

  it('take half the room of float16', async () => {
    const [full, ...eightBit] = await Promise.all(
      (['full', 'palettized', 'linear'] as const).map(
        async (weightStorage) => (await write(variedInput({ weightStorage }))).weightFile.length,
      ),
    );
    for (const size of eightBit) expect(size / full!).toBeLessThan(0.54);
  });

  it('are refused where float16 could not hold the weight', async () => {
    for (const weightStorage of ['palettized', 'linear'] as const) {
      const input = variedInput({ weightStorage });
      input.weights.get('classifier.0.weight')!.data[5] = 1e5;
      await expect(exportFormats.mlpackage.write(input)).rejects.toThrow('float16 cannot');
    }
  });
});

describe('an output of makers', () => {
  const labels = ['MDT - Azure', 'BSC - Accolade', 'MDT - Adapta', 'Unknown'];

  it('comes third, with its names in order', async () => {
    const { model } = await write(inputFor('tiny', { makerOutput: true, classes: 4, labels }));
    const output = model.description!.output[2]!;
    expect(model.description!.output.map(({ name }) => name)).toEqual([
      'classLabel',
      'classLabel_probs',
      'maker_probs',
    ]);
    expect(output.type?.Type).toMatchObject({ case: 'multiArrayType', value: { shape: [1n, 3n], dataType: 65568 } });
    expect(output.shortDescription).toContain('["MDT","BSC","Unknown"]');
    expect(model.description!.metadata!.userDefined['pacerid.makers']).toBe('["MDT","BSC","Unknown"]');
    // What makes Vision take it for a classifier all the same.
    expect(model.description!.predictedFeatureName).toBe('classLabel');
    expect(model.description!.predictedProbabilitiesName).toBe('classLabel_probs');
  });

  it('adds up what classes of a maker have', async () => {
    const { model, weightFile } = await write(inputFor('tiny', { makerOutput: true, classes: 4, labels }));
    const operations = operationsOf(model);
    const { inputs, type } = named(operations, 'maker_probs');
    expect(type).toBe('linear');
    const nameOf = (key: string) => {
      const binding = inputs[key]?.arguments[0]?.binding;
      return binding?.case === 'name' ? binding.value : '';
    };
    expect(named(operations, nameOf('x')).type).toBe('softmax');
    const { bytes } = bytesOf(named(operations, nameOf('weight')).attributes['val'], weightFile);
    expect([...new Float32Array(bytes.buffer)]).toEqual([1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  });

  it('is not there where nobody asked', async () => {
    const { model } = await write(inputFor('tiny', { classes: 4, labels }));
    expect(model.description!.output.length).toBe(2);
    expect(model.description!.metadata!.userDefined).not.toHaveProperty('pacerid.makers');
  });
});

describe('what a package says of itself', () => {
  it('has names with quotes, commas, line breaks and other alphabets, 200 of them, in order', async () => {
    const awkward = [
      'a "b", c',
      "it's",
      'two\nlines\tand\0',
      'Ünï ☃ 心 🫀',
      'A - B - C',
      '',
      ' ',
      '\\ {0} %s <b>&amp;',
      'עברית',
    ];
    const labels = [...awkward, ...Array.from({ length: 200 - awkward.length }, (_, n) => `MAKER ${n % 9} - ${n}`)];
    const { model } = await write(inputFor('tiny', { classes: 200, labels, makerOutput: true }));
    const classify = operationsOf(model).find(({ type }) => type === 'classify')!;
    const binding = classify.inputs['classes']?.arguments[0]?.binding;
    const list =
      binding?.case === 'value' && binding.value.value.case === 'immediateValue' && binding.value.value.value.value;
    const written = list && list.case === 'list' ? list.value.values.map(textOf) : [];
    expect(written).toEqual(labels);
    expect(JSON.parse(model.description!.metadata!.userDefined['pacerid.classes']!)).toEqual(labels);
  });

  it('includes the temperature', async () => {
    const { model } = await write(inputFor('tiny', { temperature: 1.25 }));
    expect(model.description!.metadata!.userDefined['pacerid.temperature']).toBe('1.25');
  });
});

function textOf({ value }: Value): string | undefined {
  const tensor = value.case === 'immediateValue' && value.value.value;
  const strings = tensor && tensor.case === 'tensor' && tensor.value.value;
  return strings && strings.case === 'strings' ? strings.value.values[0] : undefined;
}
