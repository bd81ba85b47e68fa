import { describe, expect, it } from 'vitest';
import { UnreadableModelError } from '../../../src/parity/errors.ts';
import { interpreter } from '../../../src/parity/interpreter/index.ts';
import { readOnnx } from '../../../src/parity/onnx/read.ts';
import fixture from '../../fixtures/onnx.json' with { type: 'json' };
import { judged } from '../support/judged.ts';
import {
  field,
  floats,
  integers,
  join,
  node,
  onnxFile,
  raw,
  tensor,
  types,
  value,
  type OnnxByHand,
} from '../support/onnxByHand.ts';

describe('a file that torch.onnx exported', () => {
  it.each(Object.entries(fixture))('of %s says what torch says', async (title, entry) => {
    const bytes = new Uint8Array(Buffer.from(entry.model, 'base64'));
    const model = await readOnnx(bytes);
    expect(model).toMatchObject({
      input: { name: 'pixels', width: entry.size, height: entry.size, colors: 'RGB' },
      labels: ['a, "b"', 'ç ✓', 'c\nd', 'e'],
      makers: null,
      precision: 'float32',
      eightBit: false,
    });
    const { probabilities } = await interpreter(model).run(Uint8Array.from(entry.rgb));
    judged({
      quantity: 'file of torch.onnx, read and interpreted: |Δp| from torch',
      network: title,
      on: 'processor',
      error: Math.max(...entry.probabilities.map((p, i) => Math.abs(p - probabilities[i]!))),
      tolerance: 2e-6,
      command: 'npm test -- parity/onnx',
    });
  });

  it('is read the same from the middle of a buffer, where numbers lie askew', async () => {
    const { model } = fixture['backbones, opset 17'];
    const bytes = Buffer.concat([Buffer.of(0), Buffer.from(model, 'base64')]).subarray(1);
    expect(await readOnnx(bytes)).toEqual(await readOnnx(new Uint8Array(Buffer.from(model, 'base64'))));
  });
});

/** What a file says of an image of 2 × 2 pixels: red 1 2 3 4, green 5 6 7 8, blue 9 10 11 12. Its last node gives `z`, of any shape. */
const pixels = Uint8Array.of(1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12);
async function run(count: number, file: OnnxByHand): Promise<number[]> {
  const names = Array.from({ length: count }, (_, i) => `class ${i}`);
  const model = await readOnnx(
    onnxFile({
      ...file,
      nodes: [...file.nodes, node('Flatten', ['z'], 'y')],
      metadata: { 'pacerid.classes': JSON.stringify(names), ...file.metadata },
    }),
  );
  return [...(await interpreter(model).run(pixels)).probabilities];
}
const red = floats('red', [1, 3, 1, 1], 1, 0, 0);

describe('an operator means what its specification says', () => {
  it('Conv: pads are [top, left, bottom, right]', async () => {
    const nodes = [node('Conv', ['x', 'red'], 'z', { pads: [1, 0, 0, 2], kernel_shape: [1, 1] })];
    expect(await run(12, { nodes, initializers: [red] })).toEqual([0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0]);
  });

  it('Conv: a bias, strides and groups', async () => {
    const initializers = [floats('w', [3, 1, 1, 2], 1, 10, 1, 10, 1, 10), floats('b', [3], 0.5, 0, 0)];
    const nodes = [node('Conv', ['x', 'w', 'b'], 'z', { group: 3, strides: [2, 1] })];
    expect(await run(3, { nodes, initializers })).toEqual([21.5, 65, 109]);
  });

  it('AveragePool: what lies outside counts only if it is said', async () => {
    const pool = (attributes: Record<string, number>) =>
      run(3, {
        nodes: [
          node('AveragePool', ['x'], 'z', { kernel_shape: [2, 2], pads: [1, 0, 0, 0], strides: [2, 1], ...attributes }),
        ],
      });
    expect(await pool({})).toEqual([1.5, 5.5, 9.5]);
    expect(await pool({ count_include_pad: 1 })).toEqual([0.75, 2.75, 4.75]);
  });

  it('GlobalAveragePool, MaxPool, Transpose, Concat', async () => {
    const nodes = [
      node('GlobalAveragePool', ['x'], 'means'),
      node('MaxPool', ['x'], 'largest', { kernel_shape: [2, 1] }),
      node('Transpose', ['largest'], 'turned', { perm: [0, 1, 3, 2] }),
      node('Concat', ['means', 'turned'], 'z', { axis: 2 }),
    ];
    expect(await run(9, { nodes })).toEqual([2.5, 3, 4, 6.5, 7, 8, 10.5, 11, 12]);
  });

  it('ReduceMean: axes are an attribute to opset 17, an input from 18 on', async () => {
    const to17 = [node('ReduceMean', ['x'], 'z', { axes: [1, -1], keepdims: 0 })];
    expect(await run(2, { nodes: to17, opset: 17 })).toEqual([5.5, 7.5]);
    const from18 = [node('ReduceMean', ['x', 'axes'], 'z')];
    expect(await run(2, { nodes: from18, initializers: [integers('axes', 1, 3)], opset: 18 })).toEqual([5.5, 7.5]);
  });

  it.each([0, 1])('Gemm with transB %i, MatMul, Reshape', async (transB) => {
    const weight = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const nodes = [
      node('Reshape', ['x', 'shape'], 'flat'),
      node('Gemm', ['flat', 'w', 'b'], 'sum', { transB, alpha: { float: 1 } }),
      node('MatMul', ['sum', 'm'], 'z'),
    ];
    const initializers = [
      integers('shape', 0, -1),
      transB ? floats('w', [1, 12], ...weight) : floats('w', [12, 1], ...weight),
      floats('b', [1], 100),
      floats('m', [1, 3], 1, 2, 3),
    ];
    expect(await run(3, { nodes, initializers })).toEqual([113, 226, 339]);
  });

  it('BatchNormalization: scale, shift, mean, variance', async () => {
    const initializers = [
      floats('scale', [3], 1, 2, 3),
      floats('shift', [3], 0, 10, 20),
      floats('mean', [3], 1, 5, 9),
      floats('variance', [3], 0.75, 0.75, 3.75),
    ];
    const inputs = ['pooled', 'scale', 'shift', 'mean', 'variance'];
    const nodes = [
      node('MaxPool', ['x'], 'pooled', { kernel_shape: [2, 2] }),
      node('BatchNormalization', inputs, 'z', { epsilon: { float: 0.25 }, momentum: { float: 0.9 }, training_mode: 0 }),
    ];
    expect(await run(3, { nodes, initializers })).toEqual([3, 16, 24.5]);
  });

  it('Clip with one bound, HardSigmoid with its defaults, HardSwish, Relu', async () => {
    const first = node('Conv', ['x', 'red'], 'r');
    const less = node('Sub', ['r', 'three'], 'd');
    const initializers = [red, floats('three', [], 3)];
    const of = async (last: Uint8Array) => run(4, { nodes: [first, less, last], initializers });
    expect(await of(node('Clip', ['d', '', 'three'], 'z'))).toEqual([-2, -1, 0, 1]);
    expect(await of(node('Clip', ['d', 'three'], 'z'))).toEqual([3, 3, 3, 3]);
    expect(await of(node('Relu', ['d'], 'z'))).toEqual([0, 0, 0, 1]);
    const near = (values: number[]) => values.map((one) => expect.closeTo(one, 6) as number);
    expect(await of(node('HardSigmoid', ['d'], 'z'))).toEqual(near([0.1, 0.3, 0.5, 0.7]));
    expect(await of(node('HardSwish', ['d'], 'z'))).toEqual(near([-2 / 6, -2 / 6, 0, 4 / 6]));
  });

  it('Softmax goes over the last axis', async () => {
    const nodes = [node('Conv', ['x', 'red'], 'r'), node('Softmax', ['r'], 'z')];
    const larger = 1 / (1 + Math.exp(-1));
    const found = await run(4, { nodes, initializers: [red] });
    expect(found.map((one) => one.toFixed(6))).toEqual(
      [1 - larger, larger, 1 - larger, larger].map((one) => one.toFixed(6)),
    );
  });

  it('Add, Sub, Mul, Div, Max, Min, Identity and Dropout, with constants of nodes', async () => {
    const constant = node('Constant', [], 'c', { value: floats('', [3, 1, 1], 2, 4, 8) });
    const of = async (...nodes: Uint8Array[]) => run(12, { nodes: [constant, ...nodes] });
    const all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    const by = [2, 4, 8].flatMap((one) => Array<number>(4).fill(one));
    expect(await of(node('Add', ['x', 'c'], 'z'))).toEqual(all.map((one, i) => one + by[i]!));
    expect(await of(node('Sub', ['x', 'c'], 'z'))).toEqual(all.map((one, i) => one - by[i]!));
    expect(await of(node('Mul', ['x', 'c'], 'z'))).toEqual(all.map((one, i) => one * by[i]!));
    expect(await of(node('Div', ['x', 'c'], 'z'))).toEqual(all.map((one, i) => one / by[i]!));
    expect(await of(node('Max', ['x', 'c'], 'z'))).toEqual(all.map((one, i) => Math.max(one, by[i]!)));
    expect(await of(node('Min', ['x', 'c'], 'z'))).toEqual(all.map((one, i) => Math.min(one, by[i]!)));
    expect(await of(node('Identity', ['x'], 'i'), node('Dropout', ['i'], 'z'))).toEqual(all);
  });

  it('Cast to float16 rounds, and so does all that follows', async () => {
    const nodes = [
      node('Conv', ['x', 'red'], 'r'),
      node('Cast', ['r'], 'half', { to: types.float16 }),
      node('Mul', ['half', 'times'], 'z'),
    ];
    const half = tensor('times', types.float16, [], raw(Uint16Array.of(0x6601))); // 1537
    const file = { nodes, initializers: [red, half] };
    // 1537, 3074, 4611, 6148: from 2048 on in twos, from 4096 on in fours, ties to even.
    expect(await run(4, file)).toEqual([1537, 3074, 4612, 6148]);
    const metadata = { 'pacerid.classes': '["a","b","c","d"]' };
    const bytes = onnxFile({ ...file, nodes: [...nodes, node('Flatten', ['z'], 'y')], metadata });
    expect((await readOnnx(bytes)).precision).toBe('float16');
  });
});

describe('constants', () => {
  it('lie in raw bytes, or in the field of their type', async () => {
    const nodes = [
      node('Reshape', ['x', 'shape'], 'r'),
      node('Add', ['r', 'floats'], 'a'),
      node('Cast', ['halves'], 'wide', { to: types.float32 }),
      node('Add', ['a', 'wide'], 'z'),
    ];
    const packed = (...values: number[]) => Uint8Array.from(values);
    const initializers = [
      tensor('shape', types.int64, [2], field(7, packed(1, 12))),
      tensor('floats', types.float32, [1], field(4, new Uint8Array(Float32Array.of(0.5).buffer))),
      // 1.5 is 0x3e00, packed as a varint.
      tensor('halves', types.float16, [1], field(5, packed(0x80, 0x7c))),
    ];
    expect(await run(12, { nodes, initializers })).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  });

  it('in 8 bits are (x − zero point) · scale, of a tensor or of each channel', async () => {
    const conv = node('Conv', ['x', 'w'], 'z', { kernel_shape: [2, 2] });
    const values = (axis: 0 | 1) => (axis === 0 ? [2, 3, 2, 2] : [1, 3, 2, 2]);
    const eight = (type: 'int8' | 'uint8', shape: readonly number[], ...given: number[]) =>
      tensor('q', types[type], shape, raw(type === 'int8' ? Int8Array.from(given) : Uint8Array.from(given)));
    // Channel 0 sums to 78 · (−3 − 1) · 0.5, channel 1 to 78 · (5 − 2) · 0.25.
    const perRow = {
      nodes: [node('DequantizeLinear', ['q', 's', 'p'], 'w', { axis: 0 }), conv],
      initializers: [
        eight('int8', values(0), ...Array<number>(12).fill(-3), ...Array<number>(12).fill(5)),
        floats('s', [2], 0.5, 0.25),
        tensor('p', types.int8, [2], raw(Int8Array.of(1, 2))),
      ],
    };
    expect(await run(2, perRow)).toEqual([-156, 58.5]);
    // Without an axis it is 1: red 10, green 26, blue 42.
    const perColumn = {
      nodes: [node('DequantizeLinear', ['q', 's'], 'w'), conv],
      initializers: [eight('uint8', values(1), ...Array<number>(12).fill(200)), floats('s', [3], 1, 0, 0.5)],
    };
    expect(await run(1, perColumn)).toEqual([200 * 10 + 100 * 42]);
    const perTensor = {
      nodes: [node('DequantizeLinear', ['q', 's', 'p'], 'w'), conv],
      initializers: [
        eight('uint8', values(1), ...Array<number>(12).fill(200)),
        floats('s', [], 2),
        tensor('p', types.uint8, [], raw(Uint8Array.of(199))),
      ],
    };
    expect(await run(1, perTensor)).toEqual([156]);
    const metadata = { 'pacerid.classes': '["a"]' };
    const file = { ...perTensor, nodes: [...perTensor.nodes, node('Flatten', ['z'], 'y')], metadata };
    expect((await readOnnx(onnxFile(file))).eightBit).toBe(true);
  });

  it('are rounded where they are cast', async () => {
    const nodes = [
      node('Cast', ['c'], 'half', { to: types.float16 }),
      node('Cast', ['half'], 'wide', { to: types.float32 }),
      node('Add', ['x', 'wide'], 'z'),
    ];
    const found = await run(12, { nodes, initializers: [floats('c', [1], 2051)] });
    expect(found.slice(0, 3)).toEqual([2053, 2054, 2055]);
  });

  it('by a table are what Gather picks', async () => {
    const nodes = [
      node('Cast', ['indices'], 'wide', { to: types.int32 }),
      node('Gather', ['table', 'wide'], 'w'),
      node('Conv', ['x', 'w'], 'z'),
    ];
    const initializers = [
      tensor('indices', types.uint8, [1, 3, 1, 1], raw(Uint8Array.of(2, 0, 1))),
      floats('table', [3], 0, 100, 10),
    ];
    expect(await run(4, { nodes, initializers })).toEqual([910, 1020, 1130, 1240]);
  });
});

describe('what a file says of itself', () => {
  const flat = node('Flatten', ['x'], 'y');
  const twelve = JSON.stringify(Array.from({ length: 12 }, (_, i) => `${i}`));

  it('is the order of the channels', async () => {
    const metadata = { 'pacerid.classes': twelve, 'image.bitmappixelformat': 'BGR8' };
    const model = await readOnnx(onnxFile({ nodes: [flat], metadata }));
    expect(model.input.colors).toBe('BGR');
    expect([...(await interpreter(model).run(pixels)).probabilities]).toEqual([9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]);
  });

  it('is which output is which', async () => {
    const model = await readOnnx(
      onnxFile({
        nodes: [
          node('Flatten', ['x'], 'probabilities'),
          node('MatMul', ['probabilities', 'ends'], 'maker_probabilities'),
        ],
        initializers: [floats('ends', [12, 2], 1, ...Array<number>(22).fill(0), 1)],
        outputs: ['maker_probabilities', 'probabilities'],
        metadata: { 'pacerid.classes': twelve, 'pacerid.makers': '["first","last"]' },
      }),
    );
    const { probabilities, makers } = await interpreter(model).run(pixels);
    expect([...probabilities]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect([...makers!]).toEqual([1, 12]);
    expect(model.makers?.names).toEqual(['first', 'last']);
  });

  const w = floats('w', [1, 3, 1, 1], 1, 1, 1);
  const conv = (attributes: Parameters<typeof node>[3]): OnnxByHand => ({
    nodes: [node('Conv', ['x', 'w'], 'y', attributes)],
    initializers: [w],
  });
  const pool = (attributes: Parameters<typeof node>[3]): OnnxByHand => ({
    nodes: [node('AveragePool', ['x'], 'y', { kernel_shape: [2, 2], ...attributes })],
  });
  const classes = { 'pacerid.classes': '["a"]' };
  it.each<[string, OnnxByHand, string]>([
    ['an operator', { nodes: [node('Sinh', ['x'], 'y')] }, 'The Sinh “y” of the ONNX file is not known here'],
    ['an operator of others', { nodes: [node('Relu', ['x'], 'y', {}, field(7, 'com.microsoft'))] }, 'com.microsoft'],
    ['an attribute', conv({ wrong: 1 }), 'an attribute wrong'],
    ['an input too many', { nodes: [node('Relu', ['x', 'x'], 'y')] }, 'an input 2'],
    ['padding by name', conv({ auto_pad: 'SAME_UPPER' }), 'auto_pad "SAME_UPPER"'],
    ['filters of another size', conv({ kernel_shape: [3, 3] }), 'kernel_shape [3,3]'],
    ['filters that it computes', { nodes: [node('Conv', ['x', 'x'], 'y')] }, 'computes its filters'],
    ['rounding up', pool({ ceil_mode: 1 }), 'ceil_mode 1'],
    ['dilated pooling', pool({ dilations: [2, 2] }), 'dilations [2,2]'],
    ['training', { nodes: [node('Dropout', ['x', '', 'w'], 'y')], initializers: [w] }, 'training mode'],
    ['a cast to integers', { nodes: [node('Cast', ['x'], 'y', { to: types.int32 })] }, 'casts to type 6'],
    [
      'padding by itself',
      { nodes: [node('Pad', ['x', 'p'], 'y')], initializers: [integers('p', 0, 0, 1, 0, 0, 0, 0, 0)] },
      'pads by more',
    ],
    [
      'a name that nothing has',
      { nodes: [node('Relu', ['nothing'], 'y')] },
      'Nothing in the ONNX file is called “nothing”',
    ],
    ['one name twice', { nodes: [node('Relu', ['x'], 'y'), node('Relu', ['x'], 'y')] }, 'Two things'],
    ['two initializers of a name', { nodes: [flat], initializers: [w, w] }, 'two initializers “w”'],
    [
      'too few numbers',
      { nodes: [flat], initializers: [tensor('w', types.float32, [2], raw(Float32Array.of(1)))] },
      'has 1 numbers, where 2 belong',
    ],
    [
      'numbers elsewhere',
      { nodes: [flat], initializers: [join(tensor('w', types.float32, [0]), field(14, 1))] },
      'not in the ONNX file itself',
    ],
    ['numbers of another type', { nodes: [flat], initializers: [tensor('w', 11, [0])] }, 'elements of type 11'],
    ['sparse numbers', { nodes: [flat], graphFields: [field(15, new Uint8Array())] }, 'sparse'],
    ['an old opset', { nodes: [flat], opset: 12 }, 'opset 12'],
    ['an opset to come', { nodes: [flat], opset: 23 }, 'opset 23'],
    ['no input', { nodes: [flat], inputs: [] }, '0 inputs'],
    ['an image of one channel', { nodes: [flat], inputs: [value('x', ['N', 1, 2, 2])] }, '[N, 1, 2, 2]'],
    ['an image of any size', { nodes: [flat], inputs: [value('x', ['N', 3, 'H', 'W'])] }, '[N, 3, H, W]'],
    ['a batch of two', { nodes: [flat], inputs: [value('x', [2, 3, 2, 2])] }, '[2, 3, 2, 2]'],
    [
      'pixels of half precision',
      { nodes: [flat], inputs: [value('x', ['N', 3, 2, 2], types.float16)] },
      'not a float32 image',
    ],
    [
      'another range',
      { nodes: [flat], metadata: { ...classes, 'Image.NominalPixelRange': 'Normalized_0_1' } },
      'normalized_0_1',
    ],
    ['no classes', { nodes: [flat], metadata: {} }, 'no pacerid.classes'],
    ['classes that are no list', { nodes: [flat], metadata: { 'pacerid.classes': '{"a":1}' } }, 'no list of names'],
    ['classes that are no JSON', { nodes: [flat], metadata: { 'pacerid.classes': 'a,b' } }, 'no JSON'],
    ['outputs of other names', { nodes: [flat], outputs: ['y', 'x'] }, 'none called probabilities'],
  ])('is refused where it has %s', async (_, file, message) => {
    const reading = readOnnx(onnxFile({ metadata: classes, ...file }));
    await expect(reading).rejects.toThrow(UnreadableModelError);
    await expect(reading).rejects.toThrow(message);
  });

  it('is refused where it is no ONNX file', async () => {
    await expect(readOnnx(new TextEncoder().encode('<!doctype html>'))).rejects.toThrow(UnreadableModelError);
    await expect(readOnnx(new Uint8Array())).rejects.toThrow('no graph');
  });
});
