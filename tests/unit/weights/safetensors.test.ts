import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NotSafetensorsError } from '../../../src/weights/errors.ts';
import { float16Bits, float16Value } from '../../../src/weights/float16.ts';
import { readSafetensors, writeSafetensors } from '../../../src/weights/safetensors.ts';

const fixture = new URL('../../fixtures/safetensors/', import.meta.url);
const python = process.env['PACERID_PYTHON'];

function file(header: string, body: Uint8Array = new Uint8Array()): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(body, 8 + text.length);
  return bytes;
}
const entry = (name: string, shape: number[], begin: number, end: number, dtype = 'F32') =>
  `"${name}":{"dtype":"${dtype}","shape":[${shape.join()}],"data_offsets":[${begin},${end}]}`;

describe('safetensors', () => {
  it('reads what the Python library wrote, in every type', () => {
    const { tensors, metadata } = readSafetensors(readFileSync(new URL('all_types.safetensors', fixture)));
    const expected = JSON.parse(readFileSync(new URL('all_types.json', fixture), 'utf8')) as Record<
      string,
      { dtype: string; shape: number[]; values: number[] }
    >;
    expect([...tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [name, { dtype, shape, values }] of Object.entries(expected)) {
      const tensor = tensors.get(name);
      expect(tensor?.dtype).toBe(dtype);
      expect(tensor?.shape).toEqual(shape);
      expect([...(tensor?.data ?? [])]).toEqual(values);
    }
    expect(metadata).toEqual({ format: 'pt', note: 'ä' });
  });

  it('reads from a view that is not aligned', () => {
    const bytes = writeSafetensors(new Map([['a', { shape: [2], data: Float32Array.of(1, -2) }]]));
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect([...(readSafetensors(shifted.subarray(3)).tensors.get('a')?.data ?? [])]).toEqual([1, -2]);
  });

  it('writes the layout of the specification, byte for byte', () => {
    const bytes = writeSafetensors(
      new Map([
        ['b', { shape: [1, 2], data: Float32Array.of(1, 2) }],
        ['a', { shape: [], data: Float32Array.of(3) }],
      ]),
      { k: 'v' },
    );
    const header =
      '{"__metadata__":{"k":"v"},' + entry('b', [1, 2], 0, 8) + ',' + entry('a', [], 8, 12).replace('[]', '[]') + '}';
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    expect(new TextDecoder().decode(bytes.subarray(8, 8 + length)).trimEnd()).toBe(header);
    expect([...new Float32Array(bytes.slice(8 + length).buffer)]).toEqual([1, 2, 3]);
  });

  it.skipIf(python === undefined || !existsSync(python))('is read by the Python library', () => {
    const folder = mkdtempSync(join(tmpdir(), 'safetensors-'));
    const path = join(folder, 'ours.safetensors');
    writeFileSync(
      path,
      writeSafetensors(new Map([['x.weight', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 0.1) }]]), {
        batch_norm_eps: '0.001',
      }),
    );
    const script = `
import sys, json
from safetensors import safe_open
with safe_open(sys.argv[1], 'np') as f:
    t = f.get_tensor('x.weight')
    print(json.dumps([f.metadata(), list(f.keys()), list(t.shape), str(t.dtype), t.ravel().tolist()]))
`;
    const answer: unknown = JSON.parse(execFileSync(python as string, ['-c', script, path], { encoding: 'utf8' }));
    expect(answer).toEqual([
      { batch_norm_eps: '0.001' },
      ['x.weight'],
      [2, 3],
      'float32',
      [1, 2, 3, 4, 5, Math.fround(0.1)],
    ]);
  });

  it.each([
    ['nothing', new Uint8Array(), 'fewer than its first field'],
    ['a length beyond the limit', new Uint8Array(16).fill(0xff), 'not a header length'],
    ['a header cut short', file('{"a":').subarray(0, 10), 'ends inside its header'],
    ['no JSON', file('hello'), 'not JSON'],
    ['an array', file('[]'), 'not a JSON object'],
    ['missing data', file(`{${entry('a', [2], 0, 8)}}`, new Uint8Array(4)), 'cut short'],
    ['an overlap', file(`{${entry('a', [2], 0, 8)},${entry('b', [1], 4, 8)}}`, new Uint8Array(8)), 'overlaps'],
    ['a gap', file(`{${entry('a', [1], 4, 8)}}`, new Uint8Array(8)), 'gap'],
    ['bytes that nobody owns', file(`{${entry('a', [1], 0, 4)}}`, new Uint8Array(8)), 'belong to no tensor'],
    ['a short offset', file(`{${entry('a', [2], 0, 4)}}`, new Uint8Array(4)), 'shape needs 8'],
    ['a negative size', file(`{${entry('a', [-1], 0, 4)}}`, new Uint8Array(4)), 'no valid shape'],
    ['an unknown type', file(`{${entry('a', [4], 0, 4, 'F8_E4M3')}}`, new Uint8Array(4)), 'F8_E4M3'],
    ['metadata that are numbers', file('{"__metadata__":{"a":1}}'), 'not texts'],
    ['an entry that is null', file('{"a":null}'), 'no valid shape'],
  ])('refuses %s', (_, bytes, reason) => {
    expect(() => readSafetensors(bytes)).toThrow(NotSafetensorsError);
    expect(() => readSafetensors(bytes)).toThrow(reason);
  });
});

describe('float16', () => {
  it('rounds as IEEE 754 does: to nearest, ties to even, with subnormals and overflow', () => {
    // Bits from numpy: np.float16(x).view(np.uint16).
    const cases: [number, number][] = [
      [0, 0], [-0, 0x8000], [1, 0x3c00], [-2, 0xc000], [65504, 0x7bff], [65519.996, 0x7bff], [65520, 0x7c00],
      [1e9, 0x7c00], [-Infinity, 0xfc00], [6.1035156e-5, 0x0400], [6.0975552e-5, 0x03ff], [5.9604645e-8, 1],
      [2.9802322e-8, 0], [2.9802326e-8, 1], [8.940697e-8, 2], [1e-5, 0x00a8], [1.00048828125, 0x3c00],
      [1.00146484375, 0x3c02], [1 / 6, 0x3155], [0.1, 0x2e66],
    ]; // prettier-ignore
    for (const [value, bits] of cases) expect(float16Bits(value), String(value)).toBe(bits);
    expect(float16Value(float16Bits(NaN))).toBeNaN();
  });

  it('brings back each of the 65,536 halves', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = float16Value(bits);
      if (!Number.isNaN(value)) expect(float16Bits(value)).toBe(bits);
    }
  });
});
