import { describe, expect, it } from 'vitest';
import { UnreadableModelError } from '../../../src/parity/errors.ts';
import { interpreter } from '../../../src/parity/interpreter/index.ts';
import { readMlmodel } from '../../../src/parity/mlmodel/read.ts';
import fixture from '../../fixtures/mlmodel.json' with { type: 'json' };
import { judged } from '../support/judged.ts';
import { layerOf, message, mlmodelByHand, numberField, packedFloats, textField } from '../support/mlmodelByHand.ts';

describe('a model file that coremltools’ builder wrote', () => {
  it.each(Object.entries(fixture))('with weights in %s says what its layers mean', async (storage, entry) => {
    const model = await readMlmodel(new Uint8Array(Buffer.from(entry.model, 'base64')));
    const precision = storage === 'float16' ? 'float16' : 'float32';
    expect(model).toMatchObject({
      input: { name: 'pixels', width: entry.width, height: entry.height, colors: 'BGR' },
      labels: ['a, "b"', 'ç ✓', 'c\nd', 'e'],
      makers: null,
      precision,
      eightBit: storage === 'linear' || storage === 'palettized',
    });
    const { probabilities } = await interpreter(model).run(Uint8Array.from(entry.rgb));
    judged({
      quantity: 'Core ML model file of coremltools, read and interpreted: |Δp| from numpy',
      network: storage,
      on: 'processor',
      error: Math.max(...entry.probabilities.map((p, i) => Math.abs(p - probabilities[i]!))),
      tolerance: precision === 'float16' ? 2e-3 : 2e-6,
      command: 'npm test -- parity/mlmodel',
    });
  });

  it('is rounded to float16 where its weights are, all but the product of pixel and scale', async () => {
    const model = await readMlmodel(new Uint8Array(Buffer.from(fixture.float16.model, 'base64')));
    const exact = model.operations.filter(({ rounding }) => rounding === 'float32');
    expect(exact.map(({ kind, name }) => [kind, name])).toEqual([['mul', 'pixels/product']]);
  });
});

/** Of an image of one pixel, red 10, green 20, blue 30. */
async function run(file: Parameters<typeof mlmodelByHand>[0]): Promise<number[]> {
  const model = await readMlmodel(mlmodelByHand(file));
  return [...(await interpreter(model).run(Uint8Array.of(10, 20, 30))).probabilities];
}
const flat = layerOf('probability', 301, ['pixels'], []);
const refusal = async (file: Parameters<typeof mlmodelByHand>[0]) =>
  readMlmodel(mlmodelByHand(file)).catch((error: unknown) => error);

describe('a model file made by hand', () => {
  it('gives colours in the order of its image', async () => {
    expect(await run({ layers: [flat] })).toEqual([10, 20, 30]);
    expect(await run({ layers: [flat], colorSpace: 30 })).toEqual([30, 20, 10]);
  });

  it('scales the pixels and adds to each colour its own', async () => {
    // channelScale 10, blueBias 20, greenBias 21, redBias 22.
    const scaler = message(
      [10],
      packedFloats(10, [2], 'single'),
      packedFloats(20, [1], 'single'),
      packedFloats(21, [2], 'single'),
      packedFloats(22, [3], 'single'),
    );
    expect(await run({ layers: [flat], scaler })).toEqual([23, 42, 61]);
    expect(await run({ layers: [flat], scaler, colorSpace: 30 })).toEqual([61, 42, 23]);
  });

  it('counts padding in a mean unless it is told not to', async () => {
    const border = message([10], numberField(1, 1));
    const mean = (excludes: number) =>
      layerOf(
        'mean',
        120,
        ['pixels'],
        [
          ...[numberField(1, 1), numberField(10, 2), numberField(10, 2), numberField(50, excludes)],
          message([30, 1], border, border),
        ],
      );
    const flattened = layerOf('probability', 301, ['mean'], []);
    expect(await run({ layers: [mean(0), flattened] })).toEqual([2.5, 5, 7.5]);
    expect(await run({ layers: [mean(1), flattened] })).toEqual([10, 20, 30]);
  });

  it('unpacks bytes by table and by scale and bias, a channel or all of them', async () => {
    const linear = (scale: number[], bias: number[]) =>
      message([101], packedFloats(1, scale, 'packed'), packedFloats(2, bias, 'packed'));
    const product = (quantization: Uint8Array, bytes: number[]) => [
      layerOf(
        'probability',
        140,
        ['pixels'],
        [
          numberField(1, 3),
          numberField(2, 3),
          message([20], textField(30, Uint8Array.from(bytes)), message([40], numberField(1, 8), quantization)),
        ],
      ),
    ];
    const rows = [1, 0, 0, 0, 1, 0, 0, 0, 255];
    expect(await run({ layers: product(linear([2, 3, 1], [0, 1, 0]), rows) })).toEqual([
      2 * 10,
      10 + 20 * (3 + 1) + 30,
      255 * 30,
    ]);
    expect(await run({ layers: product(linear([2], [1]), rows) })).toEqual([10 * 3 + 50, 20 * 3 + 40, 30 * 511 + 30]);
    const table = Array.from({ length: 256 }, (_, i) => (i === 255 ? -1 : i / 2));
    const lookup = message([102], packedFloats(1, table, 'packed'));
    expect(await run({ layers: product(lookup, rows) })).toEqual([5, 10, -30]);
  });

  it.each([
    ['a layer of another kind', { layers: [layerOf('probability', 165, ['pixels'], [])] }, 'type that is not known'],
    ['a value that nobody gives', { layers: [layerOf('probability', 301, ['pixel'], [])] }, 'reads “pixel”'],
    ['two values of one name', { layers: [flat, flat] }, 'two values “probability”'],
    ['no probabilities', { layers: [layerOf('other', 301, ['pixels'], [])] }, 'no layer gives “probability”'],
    [
      'an activation that is not known',
      { layers: [layerOf('probability', 130, ['pixels'], [message([40])])] },
      'activation function 40',
    ],
    [
      'a convolution with “same” padding',
      {
        layers: [
          layerOf(
            'probability',
            100,
            ['pixels'],
            [numberField(1, 3), numberField(2, 1), numberField(10, 3), message([51])],
          ),
        ],
      },
      'field 51',
    ],
    [
      'weights of the wrong number',
      {
        layers: [
          layerOf(
            'probability',
            140,
            ['pixels'],
            [numberField(1, 3), numberField(2, 3), message([20], packedFloats(1, [1, 2], 'packed'))],
          ),
        ],
      },
      '2 numbers in place of 9',
    ],
    ['a sum of one', { layers: [layerOf('probability', 880, ['pixels'], [])] }, 'it has 1 of 2 inputs'],
    [
      'a product of three',
      { layers: [layerOf('probability', 900, ['pixels', 'pixels', 'pixels'], [])] },
      'it has 3 of 2 inputs',
    ],
    ['an image of grey', { layers: [flat], colorSpace: 10 }, 'colour space 10'],
  ] as const)('is refused with %s', async (_, file, text) => {
    const error = await refusal(file);
    expect(error).toBeInstanceOf(UnreadableModelError);
    expect(String(error)).toContain(text);
  });

  it('is refused where a byte is missing', async () => {
    const bytes = mlmodelByHand({ layers: [flat] });
    await expect(readMlmodel(bytes.subarray(0, -1))).rejects.toBeInstanceOf(UnreadableModelError);
  });
});
