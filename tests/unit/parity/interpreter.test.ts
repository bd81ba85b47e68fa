import { describe, expect, it } from 'vitest';
import fixture from '../../fixtures/interpreter.json' with { type: 'json' };
import { ImpossibleOperationError } from '../../../src/parity/errors.ts';
import { fromFloat16, roundToFloat16 } from '../../../src/parity/interpreter/float16.ts';
import { interpreter } from '../../../src/parity/interpreter/index.ts';
import type { Operation, ParsedModel, Rounding, Tensor } from '../../../src/parity/types.ts';

interface Case {
  readonly operation: { readonly kind: string };
  readonly inputs: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] } | null>
  >;
  readonly shape: readonly number[];
  readonly gives32: readonly (number | string)[];
  readonly gives16: readonly (number | string)[];
}
const cases = Object.entries(fixture as unknown as Readonly<Record<string, Case>>);
const number = (value: number | string) => (typeof value === 'number' ? value : value === 'inf' ? Infinity : -Infinity);
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

const identity = (name: string, x: string, rounding: Rounding = 'float32'): Operation => ({
  kind: 'identity',
  name,
  rounding,
  x,
});
/** Of these operations and constants; its output is the last operation's. */
function modelOf(
  operations: readonly Operation[],
  size: number,
  constants: Readonly<Record<string, Tensor>> = {},
): ParsedModel {
  return {
    input: { name: 'image', width: 2, height: 1, colors: 'RGB' },
    constants: new Map(Object.entries(constants)),
    operations,
    probabilities: operations.at(-1)!.name,
    labels: Array.from({ length: size }, (_, i) => `label ${i}`),
    makers: null,
    precision: 'float32',
    eightBit: false,
  };
}
const noImage = new Uint8Array(6);

/** The operation on its inputs as constants, laid out as a row of probabilities. */
function modelOfCase({ operation, inputs, shape }: Case, rounding: Rounding): ParsedModel {
  const constants: Record<string, Tensor> = {};
  for (const [name, input] of Object.entries(inputs))
    if (input !== null) constants[name] = { shape: input.shape, data: Float32Array.from(input.data) };
  const names = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input && name]));
  const given = operation.kind === 'concat' ? { inputs: Object.keys(inputs) } : names;
  const size = sizeOf(shape);
  return modelOf(
    [
      { ...operation, ...given, name: 'it', rounding } as unknown as Operation,
      { kind: 'reshape', name: 'row', rounding: 'float32', x: 'it', shape: [1, size] },
    ],
    size,
    constants,
  );
}

describe('each operation gives what torch gives', () => {
  it.each(cases)('%s', async (_, one) => {
    const { probabilities } = await interpreter(modelOfCase(one, 'float32')).run(noImage);
    one.gives32.map(number).forEach((value, i) => {
      expect(Math.abs(probabilities[i]! - value)).toBeLessThanOrEqual(1.2e-7 * Math.abs(value));
    });
  });

  it.each(cases)('%s, rounded to float16', async (_, one) => {
    const { probabilities } = await interpreter(modelOfCase(one, 'float16')).run(noImage);
    expect([...probabilities].map((value) => value + 0)).toEqual(one.gives16.map((value) => number(value) + 0));
  });

  it('the cases reach float16’s smallest and largest numbers', () => {
    const small = Object.fromEntries(cases)['conv, subnormal']!.gives16.map(number);
    expect(small.filter((value) => value !== 0 && Math.abs(value) < 2 ** -14).length).toBeGreaterThan(5);
    expect(Object.fromEntries(cases)['conv, too large']!.gives16).toContain('inf');
  });
});

describe('float16', () => {
  /** By IEEE 754: the exponent moved, or steps of 2^-24. */
  const word = new DataView(new ArrayBuffer(4));
  const defined = (half: number): number => {
    if ((half & 0x7c00) === 0) return (half & 0x3ff) * 2 ** -24;
    word.setUint32(0, ((half & 0x7fff) << 13) + (112 << 23));
    return word.getFloat32(0);
  };
  /** The next float32 number up or down, of a positive one. */
  const next = (value: number, step: number): number => {
    word.setFloat32(0, value);
    word.setUint32(0, word.getUint32(0) + step);
    return word.getFloat32(0);
  };
  const rounded = (values: readonly number[]) => {
    const data = Float32Array.from(values);
    roundToFloat16(data);
    return [...data];
  };

  it('stands for the numbers of IEEE 754, all 65536', () => {
    const halves = Array.from({ length: 0x7c00 }, (_, half) => half);
    expect(halves.map(fromFloat16)).toEqual(halves.map(defined));
    expect(halves.map((half) => fromFloat16(half | 0x8000))).toEqual(halves.map((half) => -defined(half)));
    expect([fromFloat16(0x7c00), fromFloat16(0xfc00)]).toEqual([Infinity, -Infinity]);
    for (let half = 0x7c01; half < 0x8000; half++) expect(fromFloat16(half) + fromFloat16(half | 0x8000)).toBeNaN();
  });

  it('is rounded to at every number, and on, just below and just above half way to the next one', () => {
    const given: number[] = [];
    const expected: number[] = [];
    const give = (value: number, gives: number): void => {
      given.push(value, -value);
      expected.push(gives, -gives);
    };
    for (let half = 0; half < 0x7c00; half++) {
      const low = defined(half);
      // The one after the largest would be 65536.
      const high = half === 0x7bff ? 65536 : defined(half + 1);
      const up = high === 65536 ? Infinity : high;
      const middle = (low + high) / 2;
      give(low, low);
      give(middle, half % 2 === 0 ? low : up);
      give(next(middle, -1), low);
      give(next(middle, 1), up);
    }
    expect(rounded(given)).toEqual(expected);
    expect(rounded([Infinity, -Infinity, NaN, 1e30, -3.4e38, 1e-30])).toEqual([
      Infinity,
      -Infinity,
      NaN,
      Infinity,
      -Infinity,
      0,
    ]);
  });
});

describe('a run', () => {
  const row: Operation = { kind: 'reshape', name: 'row', rounding: 'float32', x: 'image', shape: [1, 6] };
  const pixels = Uint8Array.of(1, 2, 3, 4, 5, 255);

  it('begins with the pixels in planes, in the order of colours that the file wants', async () => {
    const rgb = await interpreter(modelOf([row], 6)).run(pixels);
    expect([...rgb.probabilities]).toEqual([1, 4, 2, 5, 3, 255]);
    const model = modelOf([row], 6);
    const bgr = await interpreter({ ...model, input: { ...model.input, colors: 'BGR' } }).run(pixels);
    expect([...bgr.probabilities]).toEqual([3, 255, 2, 5, 1, 4]);
  });

  it('names the first operation whose numbers are not finite, also where a later one hides it', async () => {
    const operations: Operation[] = [
      { kind: 'mul', name: 'large', rounding: 'float16', x: 'row', y: 'factor' },
      { kind: 'clip', name: 'hidden', rounding: 'float16', x: 'large', low: 0, high: 6 },
    ];
    const constants = { factor: { shape: [], data: Float32Array.of(257) } };
    const result = await interpreter(modelOf([row, ...operations], 6, constants)).run(pixels);
    expect([...result.probabilities]).toEqual([6, 6, 6, 6, 6, 6]);
    expect(result.notFinite).toBe('large');
    expect((await interpreter(modelOf([row, ...operations], 6, constants)).run(noImage)).notFinite).toBeNull();
  });

  const side = 64;
  const midst: Readonly<Record<string, Operation>> = {
    convolution: {
      kind: 'conv',
      name: 'long',
      rounding: 'float32',
      x: 'x',
      weight: 'w',
      bias: null,
      strides: [1, 1],
      dilations: [1, 1],
      pads: [1, 1, 1, 1],
      groups: 1,
    },
    // Of a damaged file: a window over half of what it reads.
    pooling: {
      kind: 'maxPool',
      name: 'long',
      rounding: 'float32',
      x: 'x',
      kernel: [side / 2, side],
      strides: [1, 1],
      pads: [0, side / 2 - 1, 0, side - 1],
    },
  };
  it.each(Object.entries(midst))(
    'can be given up in the midst of a %s, tells how far it is, and lets others work',
    async (_, long) => {
      const tensor = (...shape: number[]) => ({ shape, data: new Float32Array(sizeOf(shape)).fill(0.5) });
      const operations: Operation[] = [
        long,
        { kind: 'mean', name: 'mean', rounding: 'float32', x: 'long', axes: [2, 3], keepDims: false },
      ];
      const constants = { x: tensor(1, 128, side, side), w: tensor(128, 128, 3, 3) };
      const { run } = interpreter(modelOf(operations, 128, constants));
      const controller = new AbortController();
      const shares: number[] = [];
      let turns = 0;
      const reason = new Error('enough');
      const given = run(noImage, {
        signal: controller.signal,
        onProgress: (share) => shares.push(share),
        between: () => {
          if (++turns === 3) controller.abort(reason);
          return Promise.resolve();
        },
      });
      await expect(given).rejects.toBe(reason);
      expect(turns).toBe(3);
      expect(shares).toEqual([...shares].sort((a, b) => a - b));
      expect(shares.at(-1)).toBeLessThan(0.9);
    },
  );

  it('of a model whose shapes or names don’t fit does not begin: the error says which operation', () => {
    const constants = { c: { shape: [5], data: new Float32Array(5) } };
    const refuse = (operation: Operation, why: string | RegExp) => {
      const make = () => interpreter(modelOf([row, operation], 6, constants));
      expect(make).toThrow(ImpossibleOperationError);
      expect(make).toThrow(why);
    };
    refuse({ kind: 'add', name: 'a', rounding: 'float32', x: 'row', y: 'c' }, /“a”.*\[1, 6\] and \[5\]/);
    refuse(identity('b', 'nothing'), /“b”.*“nothing”/);
    refuse(identity('row', 'image'), /“row”.*two things/);
    refuse({ ...row, name: 'd', shape: [4, -1] } as Operation, /“d”.*does not become/);
    refuse({ kind: 'softmax', name: 'e', rounding: 'float32', x: 'row', axis: 2 }, /“e”.*axis 2/);
    expect(() => interpreter(modelOf([row], 5))).toThrow(/“row”.*\[1, 6\], for 5 names/);
  });

  it.each<[string, Partial<Extract<Operation, { kind: 'conv' }>>, RegExp]>([
    ['half a step', { strides: [1, 1.5] }, /stride 1\.5/],
    ['half a border', { pads: [0, 0.5, 0, 0] }, /padding 0 and 0\.5/],
    ['a border that is no number', { pads: [NaN, 0, 0, 0] }, /padding NaN/],
    ['no gap and less', { dilations: [0, 1] }, /dilations \[0, 1\]/],
    ['one group and a half', { groups: 1.5 }, /1\.5 groups/],
    ['a border larger than memory', { pads: [2 ** 20, 2 ** 20, 99, 99], strides: [2 ** 20, 99] }, /more than memory/],
  ])('of a convolution with %s does not begin', (_, change, why) => {
    const conv: Operation = {
      ...{ kind: 'conv', name: 'odd', rounding: 'float32', x: 'image', weight: 'w', bias: null, groups: 1 },
      ...{ strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] },
      ...change,
    };
    const w = { shape: [3, 3, 1, 1], data: new Float32Array(9) };
    const make = () => interpreter(modelOf([conv], 6, { w }));
    expect(make).toThrow(ImpossibleOperationError);
    expect(make).toThrow(why);
  });

  it('of an output larger than memory does not begin', () => {
    const [wide, high] = [1, 2 ** 14].map((side) => ({
      shape: [1, 1, side, 2 ** 14 / side],
      data: new Float32Array(2 ** 14),
    }));
    const operation: Operation = { kind: 'add', name: 'all', rounding: 'float32', x: 'wide', y: 'high' };
    expect(() => interpreter(modelOf([operation], 6, { wide: wide!, high: high! }))).toThrow(/“all”.*more than memory/);
  });

  it('refuses pixels of another size', async () => {
    await expect(interpreter(modelOf([row], 6)).run(new Uint8Array(9))).rejects.toThrow(/2 × 1 pixels, and 3 came/);
  });
});
