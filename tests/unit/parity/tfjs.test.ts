import JSZip from 'jszip';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/engine/types.ts';
import { interpreter } from '../../../src/parity/interpreter/index.ts';
import { UnreadableModelError } from '../../../src/parity/errors.ts';
import { readTfjs } from '../../../src/parity/tfjs/read.ts';
import { signed } from '../support/formulaWeights.ts';
import { openInNode } from '../support/openInNode.ts';
import { openTfjs, predict } from '../support/tfjsModel.ts';

/**
 * Graph models in other hands' style than our exporter's: as TensorFlow.js' converter writes what Keras and TensorFlow made. TensorFlow.js itself
 * says what they give.
 */
const size = 9;
type Attr = Record<string, unknown>;
interface Node {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr?: Attr;
}
interface Constant {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  readonly bytes: Uint8Array;
  readonly quantization?: object;
}

const text = (value: string) => ({ s: btoa(value) });
const list = (...values: number[]) => ({ list: { i: values.map(String) } });
const same = (stride: number): Attr => ({
  padding: text('SAME'),
  strides: list(1, stride, stride, 1),
  dilations: list(1, 1, 1, 1),
});
const valid = (stride: number): Attr => ({ ...same(stride), padding: text('VALID') });
const fused = (...names: string[]): Attr => ({ fused_ops: { list: { s: names.map(btoa) } }, num_args: { i: '1' } });
const bytesOf = (values: Float32Array | Int32Array | Uint16Array) => new Uint8Array(values.buffer);

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
/** Numbers in [−1, 1) · `scale` + `offset`. */
const floats = (name: string, shape: readonly number[], scale = 1, offset = 0): [string, Constant] => [
  name,
  {
    shape,
    dtype: 'float32',
    bytes: bytesOf(Float32Array.from(signed(name, product(shape)), (value) => value * scale + offset)),
  },
];
const integers = (name: string, shape: readonly number[], ...values: number[]): [string, Constant] => [
  name,
  { shape, dtype: 'int32', bytes: bytesOf(Int32Array.from(values)) },
];
const scalar = (name: string, value: number): [string, Constant] => [
  name,
  { shape: [], dtype: 'float32', bytes: bytesOf(Float32Array.of(value)) },
];

const image: Node = {
  name: 'x',
  op: 'Placeholder',
  attr: {
    dtype: { type: 'DT_FLOAT' },
    shape: { shape: { dim: [{ size: '-1' }, { size: String(size) }, { size: String(size) }, { size: '3' }] } },
  },
};

async function zipOf(
  nodes: readonly Node[],
  constants: readonly (readonly [string, Constant])[],
  more: { readonly model?: object; readonly files?: Record<string, string>; readonly bytes?: Uint8Array } = {},
): Promise<Uint8Array> {
  const bytes = more.bytes ?? new Uint8Array(Buffer.concat(constants.map(([, constant]) => constant.bytes)));
  const half = Math.floor(bytes.length / 2);
  const consts = constants.map(([name, { dtype, shape }]) => ({
    name,
    op: 'Const',
    attr: {
      dtype: { type: dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT' },
      value: { tensor: { tensorShape: { dim: shape.map(String) } } },
    },
  }));
  const model = {
    format: 'graph-model',
    // Not in the order of their use: a GraphDef needn't be.
    modelTopology: { node: [...[...nodes].reverse(), ...consts], versions: { producer: 1087 } },
    weightsManifest: [
      {
        paths: ['a.bin', 'b.bin'],
        weights: constants.map(([name, { shape, dtype, quantization }]) => ({
          name,
          shape,
          dtype,
          ...(quantization && { quantization }),
        })),
      },
    ],
    ...more.model,
  };
  const zip = new JSZip();
  zip.file('folder/model.json', JSON.stringify(model));
  zip.file('folder/a.bin', bytes.slice(0, half));
  zip.file('folder/b.bin', bytes.slice(half));
  for (const [name, content] of Object.entries(more.files ?? {})) zip.file(`folder/${name}`, content);
  return zip.generateAsync({ type: 'uint8array' });
}

/** The largest difference between what TensorFlow.js and what the interpreter make of a model, and its outputs' spread. */
async function compared(bytes: Uint8Array): Promise<{ difference: number; spread: number }> {
  const pixels = Float32Array.from(signed('pixels', size * size * 3), (value) => Math.round(127.5 + 127.5 * value));
  const { model } = await openTfjs(bytes);
  const [theirs] = await predict(model, pixels, size);
  model.dispose();
  const { probabilities } = await interpreter(await readTfjs(bytes)).run(pixels);
  expect(probabilities.length).toBe(theirs!.length);
  const differences = Array.from(theirs!, (value, i) => Math.abs(value - probabilities[i]!));
  return { difference: Math.max(...differences), spread: Math.max(...theirs!) - Math.min(...theirs!) };
}

describe('a graph model of another hand', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openInNode('wasm');
  });
  afterAll(() => engine.dispose());

  const head = (from: string, features: number): { nodes: Node[]; constants: [string, Constant][] } => ({
    nodes: [
      { name: 'dense', op: '_FusedMatMul', input: [from, 'dense/kernel', 'dense/bias'], attr: fused('BiasAdd') },
      { name: 'soft', op: 'Softmax', input: ['dense'] },
      { name: 'out', op: 'Identity', input: ['soft'] },
    ],
    constants: [floats('dense/kernel', [features, 4]), floats('dense/bias', [4])],
  });

  it('is read: SAME and zero padding, fused and plain operations, an average without the border', async () => {
    const { nodes, constants } = head('mean', 10);
    const bytes = await zipOf(
      [
        image,
        { name: 'centred', op: 'Sub', input: ['x:0', 'middle'] },
        { name: 'small', op: 'RealDiv', input: ['centred', 'width', '^middle'] },
        {
          name: 'conv',
          op: '_FusedConv2D',
          input: ['small', 'conv/kernel', 'conv/bias'],
          attr: { ...same(2), ...fused('BiasAdd', 'Relu6') },
        },
        { name: 'pad', op: 'Pad', input: ['conv', 'pads'] },
        { name: 'depth', op: 'DepthwiseConv2dNative', input: ['pad', 'depth/kernel'], attr: valid(1) },
        {
          name: 'norm',
          op: 'FusedBatchNormV3',
          input: ['depth', 'scale', 'offset', 'mean0', 'variance'],
          attr: { epsilon: { f: 0.01 }, is_training: { b: false } },
        },
        { name: 'relu', op: 'Relu', input: ['norm'] },
        { name: 'max', op: 'MaxPool', input: ['relu'], attr: { ...same(2), ksize: list(1, 3, 3, 1) } },
        { name: 'average', op: 'AvgPool', input: ['depth'], attr: { ...same(2), ksize: list(1, 2, 2, 1) } },
        { name: 'both', op: 'ConcatV2', input: ['max', 'average', 'axis'] },
        { name: 'one', op: 'Conv2D', input: ['both', 'one/kernel'], attr: same(1) },
        { name: 'biased', op: 'BiasAdd', input: ['one', 'one/bias'] },
        { name: 'clipped', op: 'ClipByValue', input: ['biased', 'low', 'high'] },
        { name: 'mean', op: 'Mean', input: ['clipped', 'axes'], attr: { keep_dims: { b: false } } },
        ...nodes,
      ],
      [
        scalar('middle', 127.5),
        floats('width', [3], 10, 100),
        floats('conv/kernel', [3, 3, 3, 4]),
        floats('conv/bias', [4]),
        integers('pads', [4, 2], 0, 0, 1, 0, 2, 1, 0, 0),
        floats('depth/kernel', [3, 2, 4, 2]),
        floats('scale', [8]),
        floats('offset', [8], 0.1, 0.5),
        floats('mean0', [8]),
        floats('variance', [8], 0.5, 0.6),
        integers('axis', [], -1),
        floats('one/kernel', [1, 1, 16, 10], 0.5),
        floats('one/bias', [10]),
        scalar('low', -0.5),
        scalar('high', 0.75),
        integers('axes', [2], 1, 2),
        ...constants,
      ],
    );
    const { difference, spread } = await compared(bytes);
    expect(difference).toBeLessThan(1e-6);
    expect(spread).toBeGreaterThan(0.1);
    const read = await readTfjs(bytes);
    expect(read.labels).toEqual(['0', '1', '2', '3']);
    expect(read).toMatchObject({ makers: null, precision: 'float32', eightBit: false });
  });

  it('is read: a flattened map, in the order of channels last, back to a map and squeezed', async () => {
    const { nodes, constants } = head('squeezed', 10);
    const bytes = await zipOf(
      [
        image,
        { name: 'pooled', op: 'MaxPool', input: ['x'], attr: { ...valid(3), ksize: list(1, 3, 3, 1) } },
        { name: 'flat', op: 'Reshape', input: ['pooled', 'row'] },
        { name: 'less', op: 'Mul', input: ['flat', 'weights'] },
        { name: 'map', op: 'Reshape', input: ['less', 'square'] },
        { name: 'conv', op: 'Conv2D', input: ['map', 'kernel'], attr: valid(1) },
        { name: 'squeezed', op: 'Squeeze', input: ['conv'], attr: { squeeze_dims: list(1, 2) } },
        ...nodes,
      ],
      [
        integers('row', [2], -1, 27),
        floats('weights', [27], 0.01),
        integers('square', [4], -1, 3, 1, 9),
        floats('kernel', [3, 1, 9, 10]),
        ...constants,
      ],
      { files: { 'labels.json': '{"labels":["d","c","b","a"]}' } },
    );
    const { difference, spread } = await compared(bytes);
    expect(difference).toBeLessThan(1e-6);
    expect(spread).toBeGreaterThan(0.1);
    expect((await readTfjs(bytes)).labels).toEqual(['d', 'c', 'b', 'a']);
  });

  it('is read: weights in 8 and 16 bits and in float16, each with its own subnormals and zero', async () => {
    const { nodes, constants } = head('mean', 6);
    const stored = (name: string, shape: number[], quantization: object, bytes: Uint8Array): [string, Constant] => [
      name,
      { shape, dtype: 'float32', quantization, bytes },
    ];
    const noise = (name: string, count: number, levels: number) =>
      Array.from(signed(name, count), (value) => Math.floor(((value + 1) / 2) * levels));
    const bytes = await zipOf(
      [
        image,
        { name: 'a', op: 'Conv2D', input: ['x', 'kernel8'], attr: valid(2) },
        { name: 'b', op: 'AddV2', input: ['a', 'bias16'] },
        { name: 'c', op: 'Mul', input: ['half', 'b'] },
        { name: 'mean', op: 'Mean', input: ['c', 'axes'], attr: { keep_dims: { b: false } } },
        ...nodes,
      ],
      [
        stored(
          'kernel8',
          [1, 1, 3, 6],
          { dtype: 'uint8', scale: 0.0004, min: -0.05 },
          Uint8Array.from(noise('k8', 18, 256)),
        ),
        stored(
          'bias16',
          [6],
          { dtype: 'uint16', scale: 0.0001, min: -3 },
          bytesOf(Uint16Array.from(noise('b16', 6, 65536))),
        ),
        // 1, −2, 0, the largest, the smallest normal and a subnormal of float16.
        stored('half', [6], { dtype: 'float16' }, bytesOf(Uint16Array.of(0x3c00, 0xc000, 0, 0x7bff, 0x0400, 0x03ff))),
        integers('axes', [2], 2, 1),
        ...constants.map(([name, constant]): [string, Constant] => [name, constant]),
      ],
    );
    const { difference } = await compared(bytes);
    expect(difference).toBeLessThan(1e-6);
    const read = await readTfjs(bytes);
    expect(read).toMatchObject({ precision: 'float16', eightBit: true });
    expect([...read.constants.get('half channels first')!.data]).toEqual([1, -2, 0, 65504, 2 ** -14, 1023 * 2 ** -24]);
  });

  const signature = { outputs: { anything: { name: 'out:0' } } };
  const tail: Node[] = [
    { name: 'mean', op: 'Mean', input: ['last', 'axes'], attr: { keep_dims: { b: false } } },
    { name: 'out', op: 'Softmax', input: ['mean'] },
  ];
  const axes = integers('axes', [2], 1, 2);
  const readOf = async (...args: Parameters<typeof zipOf>) => readTfjs(await zipOf(...args));
  const pool: Attr = { ...valid(2), ksize: list(1, 3, 3, 1) };
  const pads = integers('pads', [4, 2], 0, 0, 1, 1, 1, 1, 0, 0);

  it('is refused, by the operation’s name, where it isn’t known', async () => {
    const leaky: Node = { name: 'last', op: 'LeakyRelu', input: ['x'] };
    await expect(readOf([image, leaky, ...tail], [axes])).rejects.toThrow(UnreadableModelError);
    await expect(readOf([image, leaky, ...tail], [axes])).rejects.toThrow('LeakyRelu “last”');
    const unused: Node = { name: 'aside', op: 'LeakyRelu', input: ['x'] };
    const last: Node = { name: 'last', op: 'Relu', input: ['x'] };
    await expect(readOf([image, unused, last, ...tail], [axes], { model: { signature } })).resolves.toBeDefined();
  });

  it('is refused where zeros around a maximum may be higher than what they surround', async () => {
    const zeros: Node[] = [
      { name: 'pad', op: 'Pad', input: ['before', 'pads'] },
      { name: 'last', op: 'MaxPool', input: ['pad'], attr: pool },
    ];
    const shifted: Node = { name: 'before', op: 'Sub', input: ['x', 'shift'] };
    const positive: Node = { name: 'before', op: 'Relu', input: ['x'] };
    const constants = [axes, pads, scalar('shift', 300)];
    await expect(readOf([image, shifted, ...zeros, ...tail], constants)).rejects.toThrow('could be higher');
    const { difference } = await compared(await zipOf([image, positive, ...zeros, ...tail], constants));
    expect(difference).toBeLessThan(1e-6);
  });

  it('is read however deep it is', async () => {
    const deep = Array.from({ length: 20_000 }, (_, i): Node => ({
      name: i === 19_999 ? 'last' : `relu${i}`,
      op: 'Relu',
      input: [i === 0 ? 'x' : `relu${i - 1}`],
    }));
    expect((await readOf([image, ...deep, ...tail], [axes])).operations.length).toBe(20_002);
  });

  it('is refused where its files aren’t what it says of them', async () => {
    const last: Node = { name: 'last', op: 'Relu', input: ['x'] };
    const nodes = [image, last, ...tail];
    await expect(readOf(nodes, [axes])).resolves.toBeDefined();
    await expect(readOf(nodes, [axes], { bytes: new Uint8Array(7) })).rejects.toThrow('end before the end of axes');
    await expect(readOf(nodes, [axes], { bytes: new Uint8Array(9) })).rejects.toThrow('1 bytes at the end');
    await expect(readOf(nodes, [axes], { model: { format: 'layers-model' } })).rejects.toThrow('layers-model');
    await expect(readOf(nodes, [axes], { files: { 'labels.json': '{"labels":["a"]}' } })).rejects.toThrow(
      '1 labels for the 3',
    );
    await expect(readOf([image, { ...last, input: ['y'] }, ...tail], [axes], { model: { signature } })).rejects.toThrow(
      'no node y',
    );
    await expect(
      readOf([image, { ...last, input: ['out'] }, ...tail], [axes], { model: { signature } }),
    ).rejects.toThrow('its own output');
    const copy = (name: string, from: string): Node => ({ name, op: 'Identity', input: [from] });
    await expect(
      readOf([image, { ...last, input: ['a'] }, copy('a', 'b'), copy('b', 'a'), ...tail], [axes], {
        model: { signature },
      }),
    ).rejects.toThrow('a needs its own output');
    const odd: Node = { ...last, op: 'MaxPool', attr: { ...pool, padding: { s: 'no base64!' } } };
    await expect(readOf([image, odd, ...tail], [axes])).rejects.toThrow('The attribute padding of last');
    await expect(readTfjs(new Uint8Array(100))).rejects.toThrow('no zip');
  });
});
